"""Waiting jobs have a turn, and names sort by their bytes on PostgreSQL too, whatever the database's own collation is.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SORTED_NAMES = {"edge_packaging_jobs": ("name", "model_name"), "compilation_jobs": ("name",)}


def upgrade() -> None:
    """Apply."""
    for table, names in SORTED_NAMES.items():
        op.add_column(table, sa.Column("turn", sa.Integer(), nullable=False, server_default="1"))
        op.create_index(op.f(f"ix_{table}_status_turn"), table, ["status", "turn"], unique=False)
        if op.get_context().dialect.name == "postgresql":
            for name in names:
                op.alter_column(table, name, type_=sa.String(63, collation="C"))
