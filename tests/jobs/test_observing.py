"""What an observer is told of an attempt, whatever becomes of it."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
from prometheus_client import CollectorRegistry

from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.database.records import EdgePackagingJob
from edgepack.errors import ValidationError
from edgepack.jobs import workflow
from edgepack.jobs.attempt import Attempt
from edgepack.jobs.lifecycle import COMPLETED, FINAL
from edgepack.jobs.observing import Watch
from edgepack.jobs.workflow import JobWork, Step
from edgepack.objects.errors import StoreUnavailableError
from edgepack.telemetry.job_metrics import JobMetrics
from edgepack.telemetry.observers import AttemptOutcome, JobObserver, JobObservers, StepOutcome
from rows import packaging_row

KIND = "edge_packaging"


class Told(JobObserver):
    """An observer that remembers."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.steps: list[StepOutcome] = []
        self.ended: list[AttemptOutcome] = []
        self.retries = 0

    def attempt_began(self, kind: str) -> None:
        self.begun.append(kind)

    def step_ended(self, step: StepOutcome) -> None:
        self.steps.append(step)

    def attempt_ended(self, attempt: AttemptOutcome) -> None:
        self.ended.append(attempt)

    def store_retried(self, kind: str) -> None:
        assert kind == KIND
        self.retries += 1


class Work(JobWork[EdgePackagingJob]):
    """Work that has nothing to clean up."""

    workflow: ClassVar[str] = f"{KIND}_job"
    queue: ClassVar[str] = "test"

    def steps(self, attempt: Attempt[EdgePackagingJob]) -> Sequence[Step]:
        return []

    def clean_up(self, attempt: Attempt[EdgePackagingJob]) -> None:
        pass

    def ending(self, status: str, message: str) -> dict[str, Any]:
        return {"status_message": message}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def work(sqlite_database: Database, told: Told, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setattr(workflow, "STORE_BACKOFF_SECONDS", 0.001)
    with sqlite_database.write() as connection:
        edge_packaging_jobs.insert(connection, packaging_row("a", status="INPROGRESS", workflow_id="w-1"))
    metrics = JobMetrics(registry, [KIND], FINAL)
    return Work(sqlite_database, edge_packaging_jobs, lambda: 5_000_000, observer=JobObservers(told, metrics))


def run(work: Work, *steps: Callable[[Attempt[EdgePackagingJob]], None], number: int = 1) -> None:
    """An attempt as the engine runs it."""
    attempt = Attempt(work.database, work.jobs, work.clock, job_id=1, number=number)
    watch = Watch(work.observer, work.kind, attempt)
    with watch.whole():
        for position, step in enumerate(steps):
            done = watch.step(f"step-{position}", lambda step=step: work.perform(attempt, lambda: step(attempt)))  # type: ignore[misc]
            if not done:
                return


def nothing(_attempt: Attempt[EdgePackagingJob]) -> None:
    pass


def complete(attempt: Attempt[EdgePackagingJob]) -> None:
    attempt.bytes_read, attempt.bytes_written = 10, 20
    attempt.change(to=COMPLETED)


def failing(error: Exception) -> Callable[[Attempt[EdgePackagingJob]], None]:
    def step(_attempt: Attempt[EdgePackagingJob]) -> None:
        raise error

    return step


def test_a_job_that_completes(work: Work, told: Told, registry: CollectorRegistry) -> None:
    run(work, nothing, complete)
    (ended,) = told.ended
    arn = "arn:aws:sagemaker:us-east-1:000000000000:edge-packaging-job/a"
    assert (ended.kind, ended.arn, ended.workflow_id, ended.number) == (KIND, arn, "w-1", 1)
    assert (ended.status, ended.bytes_read, ended.bytes_written) == ("COMPLETED", 10, 20)
    assert [(step.name, step.arn, step.done) for step in told.steps] == [("step-0", arn, True), ("step-1", arn, True)]
    first, second = told.steps
    assert ended.began_at <= first.began_at <= first.ended_at <= second.began_at <= second.ended_at <= ended.ended_at
    assert registry.get_sample_value("edgepack_jobs_ended_total", {"kind": KIND, "status": "COMPLETED"}) == 1
    assert registry.get_sample_value("edgepack_job_written_bytes_total", {"kind": KIND}) == 20
    assert registry.get_sample_value("edgepack_jobs_running", {"kind": KIND}) == 0


def test_a_job_that_fails(work: Work, told: Told) -> None:
    run(work, failing(ValidationError("No.")), complete)
    assert told.ended[0].status == "FAILED"
    assert [step.done for step in told.steps] == [False]


def test_an_attempt_that_was_superseded_ends_nothing(work: Work, told: Told, registry: CollectorRegistry) -> None:
    run(work, complete, number=7)
    assert (told.ended[0].arn, told.ended[0].status) == ("", "")
    assert told.begun == [KIND]
    for status in FINAL:
        assert registry.get_sample_value("edgepack_jobs_ended_total", {"kind": KIND, "status": status}) == 0
    assert registry.get_sample_value("edgepack_jobs_running", {"kind": KIND}) == 0


def test_a_job_that_another_attempt_ended_is_not_counted_twice(work: Work, told: Told) -> None:
    run(work, complete)
    run(work, complete)
    assert [ended.status for ended in told.ended] == ["COMPLETED", ""]


def test_an_attempt_that_the_database_leaves_alone_is_told_of_too(
    work: Work, told: Told, registry: CollectorRegistry
) -> None:
    with pytest.raises(DatabaseUnavailableError):
        run(work, failing(DatabaseUnavailableError("Gone.")))
    assert told.ended[0].status == ""
    assert [step.done for step in told.steps] == [False]
    assert registry.get_sample_value("edgepack_jobs_running", {"kind": KIND}) == 0


class Broken(JobObserver):
    """An observer that fails at everything."""

    def attempt_began(self, kind: str) -> None:
        raise ZeroDivisionError

    step_ended = attempt_ended = store_retried = attempt_began  # type: ignore[assignment]


def test_an_observer_that_fails_holds_up_neither_the_job_nor_the_others(
    work: Work, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    work.observer = JobObservers(Broken(), told)
    run(work, nothing, complete)
    assert told.ended[0].status == "COMPLETED"
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "an observer failed"
    ] * 4


def test_waits_for_the_store_are_counted(work: Work, told: Told, registry: CollectorRegistry) -> None:
    errors: list[Exception] = [StoreUnavailableError("Not now.")] * 3

    def step(_attempt: Attempt[EdgePackagingJob]) -> None:
        if errors:
            raise errors.pop()

    run(work, step)
    assert told.retries == 3
    assert registry.get_sample_value("edgepack_store_retries_total", {"kind": KIND}) == 3
