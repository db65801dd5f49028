"""Connections that are lost, and sessions that hold locks and do nothing: PostgreSQL ends them, and nobody is stuck."""

import threading
import time

import pytest
import sqlalchemy as sa

from edgepack.database import engine, executors
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.database.migrate import upgrade
from edgepack.database.schema import leases
from edgepack.jobs.lifecycle import ACTIVE
from edgepack.jobs.reaper import SILENCE_MICROSECONDS
from postgres import PostgresServer
from rows import packaging_row


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    return postgres.new_database()


def job_in(url: str) -> Database:
    """A database with one job."""
    database = Database(url)
    upgrade(database)
    with database.write() as connection:
        edge_packaging_jobs.insert(connection, packaging_row("a", workflow_id="first", status="INPROGRESS"))
    return database


def test_a_worker_frozen_in_a_transaction_keeps_nobody_from_its_job(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "IDLE_TRANSACTION_MILLISECONDS", 300)
    frozen, living = Database(postgres_url), job_in(postgres_url)

    def be_frozen_and_thawed() -> None:
        with frozen.write() as connection:
            assert edge_packaging_jobs.ownership(connection, 1) == ("INPROGRESS", 1)
            with living.write() as other:
                edge_packaging_jobs.begin_attempt(
                    other, after="first", workflow_id="second", died=True, statuses=ACTIVE
                )
            edge_packaging_jobs.ownership(connection, 1)

    with pytest.raises(DatabaseUnavailableError):
        be_frozen_and_thawed()
    with frozen.read() as connection:
        assert edge_packaging_jobs.ownership(connection, 1) == ("INPROGRESS", 2)
    for database in (frozen, living):
        database.close()


def test_that_is_sooner_than_it_is_taken_for_dead() -> None:
    assert engine.IDLE_TRANSACTION_MILLISECONDS * 1000 < SILENCE_MICROSECONDS


@pytest.mark.parametrize("when", ["between two statements", "before the commit"])
def test_a_connection_lost_in_a_transaction_is_the_database_s_failure(
    postgres_url: str, postgres: PostgresServer, when: str
) -> None:
    database = job_in(postgres_url)

    def lose() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE edge_packaging_jobs SET status_message = 'lost'")
            (pid,) = connection.exec_driver_sql("SELECT pg_backend_pid()").one()
            postgres.execute(f"SELECT pg_terminate_backend({pid}, 10000)")
            if when == "between two statements":
                connection.exec_driver_sql("SELECT 1")

    with pytest.raises(DatabaseUnavailableError):
        lose()
    with database.read() as connection:
        job = edge_packaging_jobs.by_id(connection, 1)
    assert job is not None
    assert job.status_message == "Waiting."
    database.close()


def test_two_that_are_the_first_to_want_a_lease(database: Database) -> None:
    """Neither fails, and one gets it; on PostgreSQL both see at the same time that there is none."""
    if database.is_sqlite:
        pytest.skip("writers come one after the other there")
    got: list[bool] = []

    def take(name: str) -> None:
        with database.write() as connection:
            got.append(executors.take_lease(connection, "new", name, duration=60_000_000))

    other = threading.Thread(target=take, args=("other",))
    with database.write() as connection:
        first = executors.take_lease(connection, "new", "one", duration=60_000_000)
        other.start()
        time.sleep(0.3)  # it waits for this transaction's end
        assert got == []
    other.join(60)
    assert (first, got) == (True, [False])
    with database.read() as connection:
        assert connection.execute(sa.select(leases.c.holder)).scalars().all() == ["one"]
