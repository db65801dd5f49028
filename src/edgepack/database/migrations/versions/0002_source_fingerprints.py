"""Edge packaging jobs tell which version of which object the body of their package is.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("edge_packaging_jobs", sa.Column("source_fingerprint", sa.String(length=64), nullable=True))
    op.create_index(
        op.f("ix_edge_packaging_jobs_account_id_source_fingerprint"),
        "edge_packaging_jobs",
        ["account_id", "source_fingerprint"],
        unique=False,
    )
