"""Indexes for every order of a list, with a status and without, and for parts of names.

Revision ID: 0004
Revises: 0003
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ORDERS = {
    "edge_packaging_jobs": ("created_at", "modified_at", "model_name", "name"),
    "compilation_jobs": ("created_at", "modified_at", "name"),
}
NAMES = {"edge_packaging_jobs": ("name", "model_name"), "compilation_jobs": ("name",)}


def upgrade() -> None:
    """Apply."""
    for table, orders in ORDERS.items():
        for order in orders:
            if order != "name":
                _replace(table, ("account_id", order))
            _create(table, ("account_id", "status", order, "id"))
        _replace(table, ("account_id", "status"))
    dialect = op.get_context().dialect.name
    for table, names in NAMES.items():
        if dialect == "sqlite":
            _index_parts_on_sqlite(table, names)
        elif _has_trigrams():
            _index_parts_on_postgres(table, names)


def _replace(table: str, columns: Sequence[str]) -> None:
    op.drop_index(_named(table, columns), table_name=table)
    _create(table, (*columns, "id"))


def _create(table: str, columns: Sequence[str]) -> None:
    op.create_index(_named(table, columns), table, list(columns), unique=False)


def _named(table: str, columns: Sequence[str]) -> str:
    return op.f(f"ix_{table}_{'_'.join(columns)}")


def _index_parts_on_sqlite(table: str, names: Sequence[str]) -> None:
    """A table of trigrams beside the jobs' table, which triggers keep; a job's names never change."""
    columns, new, old = (", ".join(prefix + name for name in names) for prefix in ("", "new.", "old."))
    op.execute(
        f"CREATE VIRTUAL TABLE {table}_names USING fts5({columns}, content='{table}', content_rowid='id', "
        "tokenize='trigram case_sensitive 1', detail='none')"
    )
    op.execute(
        f"CREATE TRIGGER {table}_names_added AFTER INSERT ON {table} BEGIN "
        f"INSERT INTO {table}_names(rowid, {columns}) VALUES (new.id, {new}); END"
    )
    op.execute(
        f"CREATE TRIGGER {table}_names_removed AFTER DELETE ON {table} BEGIN "
        f"INSERT INTO {table}_names({table}_names, rowid, {columns}) VALUES ('delete', old.id, {old}); END"
    )
    op.execute(f"INSERT INTO {table}_names({table}_names) VALUES ('rebuild')")


def _has_trigrams() -> bool:
    """Whether this PostgreSQL comes with `pg_trgm`; without it, parts of names are looked for row by row."""
    available = sa.text("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")
    if op.get_bind().execute(available).first() is None:
        return False
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    return True


def _index_parts_on_postgres(table: str, names: Sequence[str]) -> None:
    for name in names:
        op.execute(f"CREATE INDEX ix_{table}_{name}_trigrams ON {table} USING gin ({name} gin_trgm_ops)")
