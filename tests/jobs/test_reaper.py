"""Recovery by rows alone: a real engine's tables, workers that exist in them only, and their deaths."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from edgepack.database import executors, leftovers
from edgepack.database.compilation_jobs import compilation_jobs
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.jobs import JobTable
from edgepack.database.migrate import upgrade
from edgepack.database.schema import executors as executors_table
from edgepack.database.schema import leases
from edgepack.jobs import reaper as reaper_module
from edgepack.jobs.compilation import CompilationWork
from edgepack.jobs.edge_packaging import EdgePackagingWork
from edgepack.jobs.engine import (
    COMPILATION_QUEUE,
    EDGE_PACKAGING_QUEUE,
    QUARANTINE_QUEUE,
    WorkQueue,
    migrate_engine,
    new_workflow_id,
)
from edgepack.jobs.lifecycle import MAX_DEATHS
from edgepack.jobs.pacing import polling_seconds
from edgepack.jobs.reaper import (
    GAP_SECONDS,
    HOUSEKEEPING_SECONDS,
    LEASE_MICROSECONDS,
    SILENCE_MICROSECONDS,
    STEADY_SECONDS,
    Heartbeat,
    Reaper,
)
from edgepack.jobs.scratch import Scratch
from edgepack.jobs.strays import LOOK_SECONDS, Strays
from edgepack.jobs.workflow import JobWork
from rows import compilation_row, packaging_row

ME = "reaping-worker"


@dataclass
class House:
    """A database with jobs, and the engine's tables."""

    database: Database
    queue: WorkQueue
    works: list[JobWork[Any]]
    now: float = 0.0
    steady: float = STEADY_SECONDS

    def strays(self, executor_id: str = ME) -> Strays:
        return Strays(self.queue, executor_id, monotonic=lambda: self.now)

    def reaper(self, executor_id: str = ME, strays: Strays | None = None) -> Reaper:
        self.alive(executor_id)
        return Reaper(
            self.database,
            self.queue,
            self.works,
            executor_id=executor_id,
            steady_seconds=lambda: self.steady,
            strays=strays or self.strays(executor_id),
            monotonic=lambda: self.now,
        )

    def alive(self, executor_id: str) -> None:
        with self.database.write() as connection:
            executors.heartbeat(connection, executor_id)

    def silent(self, executor_id: str) -> None:
        """Let the worker have been heard of last a little too long ago."""
        self.alive(executor_id)
        with self.database.write() as connection:
            past = executors_table.c.heartbeat_at - SILENCE_MICROSECONDS - 1
            connection.execute(
                sa.update(executors_table).where(executors_table.c.executor_id == executor_id).values(heartbeat_at=past)
            )

    def job(self, name: str, *, work: int = 0) -> Any:
        """A queued job of the first or second kind."""
        chosen, workflow_id = self.works[work], new_workflow_id()
        row = (packaging_row, compilation_row)[work](name, workflow_id=workflow_id)
        with self.database.write() as connection:
            job = chosen.jobs.insert(connection, row)
            self.queue.enqueue(
                connection, workflow=chosen.workflow, queue=chosen.queue, workflow_id=workflow_id, job_id=job.id, turn=1
            )
        return job

    def take(self, workflow_id: str, executor_id: str, *, status: str = "PENDING") -> None:
        """A worker's dequeuing, as the engine records it."""
        with self.database.write() as connection:
            connection.execute(
                self.statement("UPDATE {} SET status = :status, executor_id = :executor WHERE workflow_uuid = :id"),
                {"status": status, "executor": executor_id, "id": workflow_id},
            )

    def running_job(self, name: str, executor_id: str, *, work: int = 0) -> Any:
        job = self.job(name, work=work)
        self.take(job.workflow_id, executor_id)
        return job

    def current(self, table: JobTable[Any], name: str) -> Any:
        with self.database.read() as connection:
            return table.named(connection, "000000000000", name)

    def statement(self, sql: str) -> sa.TextClause:
        """A statement on the engine's table of workflows, which stands in a schema of its own on PostgreSQL."""
        return sa.text(sql.format("workflow_status" if self.database.is_sqlite else "dbos.workflow_status"))

    def engine(self, workflow_id: str) -> tuple[str, str]:
        """A workflow's status and queue, by the engine."""
        with self.database.read() as connection:
            query = self.statement("SELECT status, queue_name FROM {} WHERE workflow_uuid = :id")
            row = connection.execute(query, {"id": workflow_id}).one()
            return row[0], row[1]


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    database, nothing = Database(database_url), None
    upgrade(database)
    migrate_engine(database_url)
    queue = WorkQueue(database_url)
    unused: Any = nothing  # recovery touches no store, no keys and no disk
    packaging = EdgePackagingWork(
        database, store=unused, room=unused, signer=unused, trust=unused, clock=lambda: 9_000_000
    )
    compilation = CompilationWork(
        database, store=unused, room=unused, scratch=Scratch(tmp_path / "scratch"), clock=lambda: 9_000_000
    )
    yield House(database, queue, [packaging, compilation])
    queue.close()
    database.close()


def test_a_living_worker_keeps_its_job(house: House) -> None:
    house.alive("living")
    job = house.running_job("a", "living")
    assert house.reaper().run_once() == 0
    assert house.current(edge_packaging_jobs, "a") == job
    assert house.engine(job.workflow_id) == ("PENDING", EDGE_PACKAGING_QUEUE)


@pytest.mark.parametrize("kind", [0, 1], ids=["packaging", "compilation"])
def test_a_dead_worker_s_job_is_begun_anew_in_quarantine(house: House, kind: int) -> None:
    house.silent("dead")
    job = house.running_job("a", "dead", work=kind)
    assert house.reaper().run_once() == 1
    found = house.current(house.works[kind].jobs, "a")
    assert (found.attempt, found.deaths) == (2, 1)
    assert house.engine(found.workflow_id) == ("ENQUEUED", QUARANTINE_QUEUE)
    assert house.engine(job.workflow_id)[0] == "CANCELLED"
    assert house.reaper().run_once() == 0


def test_the_new_workflow_is_told_its_number(house: House) -> None:
    house.silent("dead")
    house.running_job("a", "dead")
    house.reaper().run_once()
    found = house.current(edge_packaging_jobs, "a")
    (workflow,) = house.queue._client.list_workflows(workflow_ids=[found.workflow_id])
    assert workflow.input is not None
    assert list(workflow.input["args"]) == [found.id, 2]


@pytest.mark.parametrize("kind", [0, 1], ids=["packaging", "compilation"])
def test_a_worker_that_ended_in_order_counts_as_no_death(house: House, kind: int) -> None:
    house.running_job("a", "retired", work=kind)
    assert house.reaper().run_once() == 1
    found = house.current(house.works[kind].jobs, "a")
    assert (found.attempt, found.deaths) == (2, 0)
    assert house.engine(found.workflow_id)[1] == (EDGE_PACKAGING_QUEUE, COMPILATION_QUEUE)[kind]


def test_a_job_that_has_ended_is_not_begun_anew(house: House) -> None:
    house.silent("dead")
    job = house.running_job("a", "dead")
    with house.database.write() as connection:
        edge_packaging_jobs.change(connection, job.id, expected={"STARTING"}, status="STOPPED")
    assert house.reaper().run_once() == 0
    assert house.engine(job.workflow_id)[0] == "CANCELLED"


def test_a_reaper_that_died_half_way_is_finished_by_the_next(house: House) -> None:
    """It dies after its transaction and before it has cancelled the old workflow."""
    house.silent("dead")
    job = house.running_job("a", "dead")
    house.reaper().run_once()
    house.take(job.workflow_id, "dead")
    assert house.reaper().run_once() == 0
    assert house.current(edge_packaging_jobs, "a").attempt == 2
    assert house.engine(job.workflow_id)[0] == "CANCELLED"


def test_one_reaper_at_a_time(house: House) -> None:
    house.silent("dead")
    house.running_job("a", "dead")
    with house.database.write() as connection:
        assert executors.take_lease(connection, "reaper", "another", duration=5_000_000)
    assert house.reaper().run_once() == 0
    with house.database.write() as connection:
        connection.execute(sa.update(leases).values(expires_at=0))
    assert house.reaper().run_once() == 1


def test_a_job_is_quarantined_until_it_has_killed_too_many(house: House) -> None:
    house.running_job("poison", "dead-0")
    for number in range(MAX_DEATHS):
        house.silent(f"dead-{number}")
        assert house.reaper().run_once() == 1
        found = house.current(edge_packaging_jobs, "poison")
        assert (found.deaths, house.engine(found.workflow_id)) == (number + 1, ("ENQUEUED", QUARANTINE_QUEUE))
        house.take(found.workflow_id, f"dead-{number + 1}")


@pytest.mark.parametrize("ended", ["ERROR", "SUCCESS", "CANCELLED"])
def test_a_job_that_its_workflow_left_is_begun_anew(house: House, ended: str) -> None:
    job = house.running_job("a", ME)
    house.take(job.workflow_id, ME, status=ended)
    reaper = house.reaper()
    assert reaper.run_once() == 1
    assert house.current(edge_packaging_jobs, "a").attempt == 2
    another = house.running_job("b", ME)
    house.take(another.workflow_id, ME, status=ended)
    assert reaper.run_once() == 0
    house.now += HOUSEKEEPING_SECONDS
    assert reaper.run_once() == 1


def test_old_workflows_are_forgotten_and_jobs_are_not(house: House) -> None:
    job = house.running_job("a", ME)
    with house.database.write() as connection:
        edge_packaging_jobs.change(connection, job.id, expected={"STARTING"}, status="STOPPED")
        connection.execute(
            house.statement("UPDATE {} SET status = 'SUCCESS', completed_at = 1 WHERE workflow_uuid = :id"),
            {"id": job.workflow_id},
        )
    house.reaper().run_once()
    with house.database.read() as connection:
        assert connection.execute(house.statement("SELECT count(*) FROM {}")).scalar_one() == 0
    assert house.current(edge_packaging_jobs, "a").status == "STOPPED"


def test_many_abandoned_jobs_are_found_in_one_go(house: House) -> None:
    for number in range(3):
        job = house.job(f"job-{number}", work=1)
        house.take(job.workflow_id, ME, status="ERROR")
    assert house.reaper().run_once() == 3
    assert {house.current(compilation_jobs, f"job-{number}").attempt for number in range(3)} == {2}


def test_a_reaper_that_has_died_is_not_waited_for(house: House) -> None:
    """By the time that it is taken for dead, its lease is over: whoever looks then may take its jobs."""
    assert LEASE_MICROSECONDS < SILENCE_MICROSECONDS
    house.reaper("first").run_once()
    house.running_job("a", "first")
    assert house.reaper().run_once() == 0
    house.silent("first")
    with house.database.write() as connection:
        passed = leases.c.expires_at - SILENCE_MICROSECONDS - 1
        connection.execute(sa.update(leases).values(expires_at=passed))
    assert house.reaper().run_once() == 1
    assert house.current(edge_packaging_jobs, "a").deaths == 1


def test_nobody_is_taken_for_dead_while_the_database_was_away(house: House) -> None:
    """Everybody was silent then, and the judge was no better off."""
    job = house.running_job("a", "another")
    mine = house.running_job("b", ME)
    reaper = house.reaper()
    for executor_id in ("another", ME):
        house.silent(executor_id)
    house.steady = STEADY_SECONDS - 0.1
    assert reaper.run_once() == 0
    house.steady = STEADY_SECONDS
    house.alive("another")
    assert reaper.run_once() == 0
    house.silent("another")
    assert reaper.run_once() == 1
    assert house.current(edge_packaging_jobs, "a").workflow_id != job.workflow_id
    assert house.current(edge_packaging_jobs, "b") == mine


def test_who_ended_in_order_need_not_be_waited_for(house: House) -> None:
    house.running_job("a", "retired")
    house.steady = 0.0
    assert house.reaper().run_once() == 1


def test_a_heart_is_steady_while_no_beat_is_late(database: Database) -> None:
    now = 100.0
    heart = Heartbeat(database, ME, monotonic=lambda: now)
    assert heart.steady_seconds() == 0.0
    for _ in range(5):
        heart.beat()
        now += 1.0
    assert heart.steady_seconds() == 5.0
    now += GAP_SECONDS
    assert heart.steady_seconds() == 0.0
    heart.beat()
    now += 0.5
    assert heart.steady_seconds() == 0.5


def test_what_a_worker_was_given_and_never_heard_of_is_begun_anew(house: House) -> None:
    job, strays = house.running_job("a", ME), house.strays()
    held = house.running_job("b", ME)
    reaper = house.reaper(strays=strays)
    with strays.holding(held.workflow_id):
        assert reaper.run_once() == 0
        house.now += LOOK_SECONDS
        assert reaper.run_once() == 0  # it may be about to be begun
        house.now += LOOK_SECONDS
        assert reaper.run_once() == 1
    found = house.current(edge_packaging_jobs, "a")
    assert (found.attempt, found.deaths, house.engine(job.workflow_id)[0]) == (2, 0, "CANCELLED")
    assert house.engine(found.workflow_id) == ("ENQUEUED", EDGE_PACKAGING_QUEUE)
    assert house.current(edge_packaging_jobs, "b") == held


def test_what_is_begun_between_two_looks_is_no_stray(house: House) -> None:
    job, strays = house.running_job("a", ME), house.strays()
    house.now += LOOK_SECONDS
    assert strays.found() == []
    with strays.holding(job.workflow_id):
        house.now += LOOK_SECONDS
        assert strays.found() == []
    house.now += LOOK_SECONDS
    assert strays.found() == []


def test_what_a_dead_worker_may_have_left_is_looked_for(house: House) -> None:
    house.silent("dead")
    job = house.running_job("a", "dead")
    house.reaper().run_once()
    with house.database.read() as connection:
        (left,) = leftovers.oldest(connection, 10)
    assert (left.owner_arn, left.owner_created_at) == (job.arn, job.created_at)
    assert (left.bucket, left.key) == (job.output_bucket, job.output_key)


def test_of_very_many_jobs_some_are_looked_at_each_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper_module, "JOBS_LOOKED_AT", 2)
    for number in range(5):
        job = house.job(f"job-{number}")
        house.take(job.workflow_id, ME, status="ERROR")
    reaper, found = house.reaper(), []
    for _ in range(4):
        found.append(reaper.run_once())
        house.now += HOUSEKEEPING_SECONDS
    assert found == [2, 2, 1, 0]


def test_workers_ask_often_for_jobs_that_wait(house: House) -> None:
    for queue in (EDGE_PACKAGING_QUEUE, COMPILATION_QUEUE, QUARANTINE_QUEUE):
        house.queue._client.register_queue(queue, worker_concurrency=1)

    reaper = house.reaper()

    def paces() -> list[float]:
        reaper.run_once()
        found = [house.queue._client.retrieve_queue(each) for each in (EDGE_PACKAGING_QUEUE, COMPILATION_QUEUE)]
        return [each.polling_interval_sec for each in found if each is not None]

    idle, busy = polling_seconds(workers=1, waiting=False), polling_seconds(workers=1, waiting=True)
    assert paces() == [idle, idle]
    job = house.job("a")
    assert paces() == [busy, idle]
    with house.database.write() as connection:
        edge_packaging_jobs.change(connection, job.id, expected={"STARTING"}, status="INPROGRESS")
    assert paces() == [idle, idle]
    house.queue.pace(EDGE_PACKAGING_QUEUE, seconds=99.0)
    house.now += HOUSEKEEPING_SECONDS
    paces()
    assert paces() == [idle, idle]


@pytest.mark.parametrize("waiting", [False, True])
def test_very_many_workers_ask_no_oftener_than_few(waiting: bool) -> None:
    pauses = [polling_seconds(workers=workers, waiting=waiting) for workers in (0, 1, 10, 100, 10_000)]
    assert pauses == sorted(pauses)
    assert pauses[0] > 0
    assert 10_000 / pauses[-1] <= 10_000
    assert pauses[-1] <= SILENCE_MICROSECONDS / 2e6
