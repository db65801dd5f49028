"""What waits, as `/metrics` tells it: right, and at a cost that does not grow with what has ended."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.database import executors
from edgepack.database.backlog import count_by_status, oldest_seconds
from edgepack.database.engine import Database
from edgepack.database.executors import database_now
from edgepack.database.records import MICROSECONDS
from edgepack.database.schema import compilation_jobs, edge_packaging_jobs
from edgepack.jobs.backlog import read_backlog
from edgepack.jobs.lifecycle import ACTIVE, FINAL, STARTING
from rows import compilation_row, packaging_row

TABLES = [edge_packaging_jobs, compilation_jobs]
ENDED = 30_000
"""Enough for a planner to prefer an index to reading the table."""


def test_nothing_waits_in_an_empty_database(database: Database) -> None:
    backlog = read_backlog(database)
    assert set(backlog.jobs.values()) == set(backlog.waiting.values()) == set(backlog.oldest_seconds.values()) == {0}
    assert {status for _, status in backlog.jobs} == ACTIVE
    assert backlog.workers == 0


def test_what_waits_and_runs_is_counted_over_all_accounts(database: Database) -> None:
    with database.write() as connection:
        now = database_now(connection)
        rows = [
            packaging_row("a", created_at=now - 90 * MICROSECONDS),
            packaging_row("b", created_at=now - 5 * MICROSECONDS, account_id="111111111111"),
            packaging_row("c", status="INPROGRESS"),
            packaging_row("d", status="STOPPING"),
            *(packaging_row(status.lower(), status=status) for status in FINAL),
        ]
        connection.execute(sa.insert(edge_packaging_jobs), rows)
        connection.execute(sa.insert(compilation_jobs), [compilation_row("a", status="INPROGRESS")])
        executors.heartbeat(connection, "w-1")
        executors.heartbeat(connection, "w-2")
    backlog = read_backlog(database)
    assert {key: count for key, count in backlog.jobs.items() if count} == {
        ("edge_packaging", "STARTING"): 2,
        ("edge_packaging", "INPROGRESS"): 1,
        ("edge_packaging", "STOPPING"): 1,
        ("compilation", "INPROGRESS"): 1,
    }
    assert backlog.waiting == {"edge_packaging": 2, "compilation": 0}
    assert 89 < backlog.oldest_seconds["edge_packaging"] < 150
    assert backlog.oldest_seconds["compilation"] == 0
    assert backlog.workers == 2


@pytest.fixture(params=TABLES, ids=[table.name for table in TABLES])
def full(request: pytest.FixtureRequest, database: Database) -> Iterator[tuple[Connection, sa.Table]]:
    """A table with many jobs that have ended and two that wait."""
    table: sa.Table = request.param
    row = packaging_row if table is edge_packaging_jobs else compilation_row
    with database.write() as connection:
        connection.execute(sa.insert(table), [row(f"e{n}", status="COMPLETED", turn=n) for n in range(ENDED)])
        connection.execute(sa.insert(table), [row(f"w{n}", turn=ENDED + n) for n in range(2)])
    with database.read() as connection:
        connection.exec_driver_sql("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE")
        yield connection, table


def test_what_has_ended_is_not_read(full: tuple[Connection, sa.Table]) -> None:
    connection, table = full
    plans: list[str] = []

    @sa.event.listens_for(connection, "after_cursor_execute")
    def _explain(_connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT") and table.name in statement:
            plans.append(_plan(connection, statement, parameters))

    counted = count_by_status(connection, table, ACTIVE)
    age = oldest_seconds(connection, table, STARTING)
    assert (counted[STARTING], age > 0) == (2, True)
    assert len(plans) == 2
    for plan in plans:
        assert re.search(rf"\bix_{table.name}_(status_turn|active)\b", plan), plan
        assert "Seq Scan" not in plan
        assert "SCAN" not in plan


def _plan(connection: Connection, statement: str, parameters: Any) -> str:
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    cursor = connection.connection.cursor()
    cursor.execute(explain + statement, parameters)
    return "\n".join(str(row) for row in cursor.fetchall())
