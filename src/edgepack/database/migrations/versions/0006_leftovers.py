"""What a job may have left in the store is noted, to be looked for once the job has ended.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "leftovers",
        sa.Column("owner_arn", sa.String(length=1600), nullable=False),
        sa.Column("owner_created_at", sa.BigInteger(), nullable=False),
        sa.Column("bucket", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=1200), nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner_arn", "owner_created_at", name=op.f("pk_leftovers")),
    )
