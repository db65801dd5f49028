"""An index of the jobs that have not ended: the reaper looks at these, however many have.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ACTIVE = sa.text("status NOT IN ('COMPLETED', 'FAILED', 'STOPPED')")


def upgrade() -> None:
    """Apply."""
    for table in ("edge_packaging_jobs", "compilation_jobs"):
        op.create_index(f"ix_{table}_active", table, ["id"], sqlite_where=ACTIVE, postgresql_where=ACTIVE)
