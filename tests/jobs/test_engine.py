"""The engine as edgepack sets it up: each of its defaults that was found to bite is another one here."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.database.migrate import upgrade
from edgepack.jobs.engine import (
    APPLICATION_VERSION,
    EDGE_PACKAGING_QUEUE,
    EDGE_PACKAGING_WORKFLOW,
    WorkQueue,
    engine_config,
    migrate_engine,
    new_executor_id,
)
from postgres import PostgresServer
from rows import packaging_row

LOCK = Path(__file__).parents[2] / "requirements.lock"


class RolledBackError(Exception):
    """Ends a transaction."""


@pytest.fixture
def opened(database_url: str) -> Iterator[tuple[Database, WorkQueue]]:
    database = Database(database_url)
    upgrade(database)
    migrate_engine(database_url)
    queue = WorkQueue(database)
    yield database, queue
    queue.close()
    database.close()


def enqueue(database: Database, queue: WorkQueue, *, fail: bool = False) -> None:
    """What Create does in its transaction."""
    with database.write() as connection:
        job = edge_packaging_jobs.insert(connection, packaging_row("a", workflow_id="w"))
        queue.enqueue(
            connection,
            workflow=EDGE_PACKAGING_WORKFLOW,
            queue=EDGE_PACKAGING_QUEUE,
            workflow_id="w",
            job_id=job.id,
            turn=3,
        )
        if fail:
            raise RolledBackError


def workflows(database: Database, table: str = "workflow_status") -> list[sa.RowMapping]:
    """The engine's rows."""
    schema = "" if database.is_sqlite else "dbos."
    with database.read() as connection:
        return list(connection.exec_driver_sql(f"SELECT * FROM {schema}{table}").mappings())


def test_a_job_and_its_workflow_appear_together_or_not_at_all(opened: tuple[Database, WorkQueue]) -> None:
    database, _ = opened
    with pytest.raises(RolledBackError):
        enqueue(*opened, fail=True)
    assert workflows(database) == []
    with database.read() as connection:
        assert edge_packaging_jobs.named(connection, "000000000000", "a") is None
    enqueue(*opened)
    (workflow,) = workflows(database)
    with database.read() as connection:
        assert edge_packaging_jobs.named(connection, "000000000000", "a") is not None
    assert (workflow["status"], workflow["priority"]) == ("ENQUEUED", 3)


def test_values_are_json_and_nobody_unpickles_them(opened: tuple[Database, WorkQueue]) -> None:
    """Pickles, the engine's default, would let whoever writes the database run code in workers."""
    enqueue(*opened)
    (workflow,) = workflows(opened[0])
    assert workflow["serialization"] == "portable_json"
    (stored,) = workflows(opened[0], "workflow_input")
    assert json.loads(stored["inputs"])["positionalArgs"] == [1, 1]
    config = engine_config(Database("sqlite:///x"), "me")
    assert type(config["serializer"]).__name__ == "DBOSPortableJSONSerializer"


def test_an_upgrade_strands_no_job(opened: tuple[Database, WorkQueue]) -> None:
    """The engine's default version is a hash of the code, and workers take jobs of their own version only."""
    enqueue(*opened)
    (workflow,) = workflows(opened[0])
    config = engine_config(Database("sqlite:///x"), "me")
    assert workflow["application_version"] == config["application_version"] == APPLICATION_VERSION == "1"


def test_no_two_workers_have_one_id() -> None:
    """Two that shared the engine's default were seen to run one step at once."""
    ids = {new_executor_id() for _ in range(100)}
    assert len(ids) == 100
    assert "local" not in ids
    assert engine_config(Database("sqlite:///x"), "me")["executor_id"] == "me"


def test_sqlite_writes_ahead_and_syncs_each_commit(sqlite_database: Database) -> None:
    """And waits for other writers instead of failing."""
    with sqlite_database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000}


def test_a_database_that_is_away_is_told_and_not_waited_for(postgres: PostgresServer) -> None:
    """The engine's own way is to wait for it, and a minute and a half longer."""
    url = postgres.new_database()
    migrate_engine(url)
    database = Database(url)
    queue = WorkQueue(database)
    name = url.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    for call in (
        queue.running,
        lambda: queue.ended_among(["w"]),
        lambda: queue.cancel("w"),
        lambda: WorkQueue(database),
    ):
        with pytest.raises(DatabaseUnavailableError):
            call()
    queue.close()
    database.close()


def test_the_engine_s_proprietary_part_is_not_installed() -> None:
    names = re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(), re.MULTILINE)
    assert "dbos" in names
    assert [name for name in names if name.startswith("dbos-")] == []
