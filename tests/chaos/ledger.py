"""What happened to each job, noted by the database itself: triggers that the service knows nothing of."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from edgepack.database.engine import Database

KINDS = ("edge_packaging_jobs", "compilation_jobs")
"""The tables of jobs."""

TABLE = "chaos_ledger"

_SQLITE_NOW = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) * 1000"
_POSTGRES_NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of a job's status or attempt, or its creation.

    Attributes:
        before: The status before; None at its creation.
        at: Seconds since the epoch, by the database's clock.
    """

    kind: str
    name: str
    before: str | None
    after: str
    attempt: int
    deaths: int
    at: float


def install(database: Database) -> None:
    """Begin to note. Nothing may have been created yet."""
    statements = _on_sqlite() if database.is_sqlite else _on_postgres()
    with database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def read(database: Database) -> list[Entry]:
    """Everything, in its order."""
    columns = "kind, name, status_before AS before, status_after AS after, attempt, deaths, at"
    with database.read() as connection:
        rows = connection.execute(sa.text(f"SELECT {columns} FROM {TABLE} ORDER BY id")).mappings().all()
    return [Entry(**{**row, "at": row["at"] / 1e6}) for row in rows]


def _columns(identity: str) -> str:
    return (
        f"CREATE TABLE {TABLE} (id {identity}, kind TEXT NOT NULL, name TEXT NOT NULL, status_before TEXT, "
        "status_after TEXT NOT NULL, attempt INTEGER NOT NULL, deaths INTEGER NOT NULL, at BIGINT NOT NULL)"
    )


def _insert(kind: str, before: str, now: str) -> str:
    return (
        f"INSERT INTO {TABLE} (kind, name, status_before, status_after, attempt, deaths, at) "
        f"VALUES ({kind}, new.name, {before}, new.status, new.attempt, new.deaths, {now})"
    )


def _on_sqlite() -> Iterable[str]:
    yield _columns("INTEGER PRIMARY KEY AUTOINCREMENT")
    for table in KINDS:
        created, changed = (_insert(f"'{table}'", before, _SQLITE_NOW) for before in ("NULL", "old.status"))
        yield f"CREATE TRIGGER chaos_{table}_created AFTER INSERT ON {table} BEGIN {created}; END"
        yield (
            f"CREATE TRIGGER chaos_{table}_changed AFTER UPDATE ON {table} "
            f"WHEN old.status <> new.status OR old.attempt <> new.attempt BEGIN {changed}; END"
        )


def _on_postgres() -> Iterable[str]:
    yield _columns("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    for event, before in (("created", "NULL"), ("changed", "old.status")):
        yield (
            f"CREATE FUNCTION chaos_{event}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"{_insert('TG_TABLE_NAME', before, _POSTGRES_NOW)}; RETURN NULL; END $$"
        )
    for table in KINDS:
        yield (f"CREATE TRIGGER chaos_created AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION chaos_created()")
        yield (
            f"CREATE TRIGGER chaos_changed AFTER UPDATE ON {table} FOR EACH ROW "
            "WHEN (old.status <> new.status OR old.attempt <> new.attempt) EXECUTE FUNCTION chaos_changed()"
        )
