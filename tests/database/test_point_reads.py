"""A point read sees the latest commit, whatever is read and written around it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.database.point_reads import PointRead
from rows import packaging_row

ACCOUNT = "000000000000"
READS = 20


@contextmanager
def reading(database: Database) -> Iterator[PointRead]:
    read = PointRead(database, edge_packaging_jobs.describe_query)
    yield read
    read.close()


def insert(database: Database, name: str) -> int:
    with database.write() as connection:
        return edge_packaging_jobs.insert(connection, packaging_row(name)).id


def change(database: Database, job_id: int, message: str) -> None:
    with database.write() as connection:
        edge_packaging_jobs.change(connection, job_id, expected={"STARTING"}, status_message=message)


def message(read: PointRead, name: str) -> Any:
    return msgspec.json.decode(read.value(ACCOUNT, name))["EdgePackagingJobStatusMessage"]


def test_a_row_that_is_not_there_has_no_value(database: Database) -> None:
    async def run(read: PointRead) -> None:
        assert read.value(ACCOUNT, "a") is None
        insert(database, "a")
        await asyncio.sleep(0)
        assert read.value(ACCOUNT, "a") is not None
        assert read.value("111111111111", "a") is None

    with reading(database) as read:
        asyncio.run(run(read))


def test_every_turn_of_the_event_loop_reads_the_latest_commit(database: Database) -> None:
    job_id = insert(database, "a")

    async def run(read: PointRead) -> None:
        for number in range(READS):
            change(database, job_id, f"change {number}")
            await asyncio.sleep(0)
            assert message(read, "a") == f"change {number}"

    with reading(database) as read:
        asyncio.run(run(read))


def test_what_arrived_during_a_turn_is_read_in_a_later_transaction(database: Database) -> None:
    """A request whose task was made after a turn's first read, as by the network, sees what was committed before it."""
    job_id = insert(database, "a")
    seen: list[str] = []

    async def run(read: PointRead) -> None:
        message(read, "a")
        change(database, job_id, "committed before the request")
        asyncio.get_running_loop().call_soon(lambda: seen.append(message(read, "a")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    with reading(database) as read:
        asyncio.run(run(read))
    assert seen == ["committed before the request"]


def test_no_transaction_is_left_open(sqlite_database: Database) -> None:
    """One that stayed would keep the log from being written back, so that it grew for ever."""
    insert(sqlite_database, "a")

    async def run(read: PointRead) -> None:
        for _ in range(READS):
            message(read, "a")
        await asyncio.sleep(0)
        insert(sqlite_database, "b")
        with sqlite_database.read() as connection:
            busy, logged, written_back = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        assert (busy, logged, written_back) == (0, 0, 0)

    with reading(sqlite_database) as read:
        asyncio.run(run(read))


def test_a_failure_of_the_database_is_told_and_the_next_read_works(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(sqlite_database, "a")

    async def run(read: PointRead) -> None:
        message(read, "a")
        await asyncio.sleep(0)
        monkeypatch.setattr(read, "_sql", "SELECT no_such_column")
        with pytest.raises(DatabaseUnavailableError):
            read.value(ACCOUNT, "a")
        monkeypatch.undo()
        assert message(read, "a")
        await asyncio.sleep(0)
        assert message(read, "a")

    with reading(sqlite_database) as read:
        asyncio.run(run(read))
