"""What the steps of every job have in common: retries, the one ending, and what it removes; without an engine."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
from dbos import error as engine_errors

from edgepack.database import leftovers
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.database.records import EdgePackagingJob
from edgepack.errors import ValidationError
from edgepack.jobs import workflow
from edgepack.jobs.attempt import Attempt, JobStoppedError, JobSupersededError
from edgepack.jobs.engine import share_log
from edgepack.jobs.lifecycle import ACTIVE, MAX_DEATHS
from edgepack.jobs.workflow import NOTHING_LEFT, STOPPED_MESSAGE, STORE_ATTEMPTS, JobWork, Step
from edgepack.objects.address import S3Address
from edgepack.objects.errors import StoreRefusedError, StoreUnavailableError
from rows import packaging_row


class Work(JobWork[EdgePackagingJob]):
    """Work that notes when it is told to clean up, and may fail to."""

    workflow: ClassVar[str] = "test"
    queue: ClassVar[str] = "test"

    def __init__(self, database: Database) -> None:
        super().__init__(database, edge_packaging_jobs, lambda: 5_000_000)
        self.cleaned: list[int] = []
        self.clean_up_error: Exception | None = None

    def steps(self, attempt: Attempt[EdgePackagingJob]) -> Sequence[Step]:
        return []

    def target(self, job: EdgePackagingJob) -> S3Address:
        return S3Address(job.output_bucket, job.output_key)

    def clean_up(self, attempt: Attempt[EdgePackagingJob]) -> None:
        self.cleaned.append(attempt.number)
        if self.clean_up_error is not None:
            raise self.clean_up_error

    def ending(self, status: str, message: str) -> dict[str, Any]:
        return {"status_message": message}


@pytest.fixture
def work(database: Database, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setattr(workflow, "STORE_BACKOFF_SECONDS", 0.001)
    with database.write() as connection:
        edge_packaging_jobs.insert(connection, packaging_row("a", status="INPROGRESS"))
    return Work(database)


def perform(work: Work, step: Callable[[], None], *, number: int = 1) -> bool:
    attempt = Attempt(work.database, work.jobs, work.clock, job_id=1, number=number)
    return work.perform(attempt, step)


def job(work: Work) -> EdgePackagingJob:
    with work.database.read() as connection:
        found = edge_packaging_jobs.by_id(connection, 1)
    assert found is not None
    return found


def change(work: Work, **values: Any) -> None:
    with work.database.write() as connection:
        edge_packaging_jobs.change(connection, 1, expected=ACTIVE, **values)


def left(work: Work) -> list[str]:
    """Where the sweeper is to look."""
    with work.database.read() as connection:
        return [each.key for each in leftovers.oldest(connection, 10)]


def begin_next(work: Work) -> None:
    with work.database.write() as connection:
        edge_packaging_jobs.begin_attempt(
            connection, after=job(work).workflow_id, workflow_id="second", died=True, statuses=ACTIVE
        )


def raising(*errors: Exception) -> Callable[[], None]:
    """A step that raises these in turn, and then does well."""
    left = list(errors)

    def step() -> None:
        if left:
            raise left.pop(0)

    return step


def test_a_step_that_does_well_goes_on(work: Work) -> None:
    assert perform(work, raising())
    assert (job(work).status, work.cleaned) == ("INPROGRESS", [])


def test_an_error_fails_the_job_with_its_words_after_cleaning_up(work: Work) -> None:
    assert not perform(work, raising(ValidationError("This is wrong.", advice="Do that.")))
    assert (job(work).status, job(work).status_message, work.cleaned) == ("FAILED", "This is wrong. Do that.", [1])


def test_a_defect_fails_the_job_without_its_words(work: Work) -> None:
    assert not perform(work, raising(ZeroDivisionError("the secret of it")))
    assert job(work).status == "FAILED"
    assert job(work).status_message.startswith("InternalFailure")
    assert "secret" not in job(work).status_message


def test_what_passes_by_itself_is_tried_again(work: Work) -> None:
    assert perform(work, raising(*[StoreUnavailableError("Not now.")] * (STORE_ATTEMPTS - 1)))
    assert (job(work).status, work.cleaned) == ("INPROGRESS", [])


def test_but_not_for_ever(work: Work) -> None:
    assert not perform(work, raising(*[StoreUnavailableError("Not now.")] * STORE_ATTEMPTS))
    assert (job(work).status, work.cleaned) == ("FAILED", [1])


def test_what_does_not_pass_is_not_tried_again(work: Work) -> None:
    assert not perform(work, raising(StoreRefusedError("No.")))
    assert job(work).status == "FAILED"


def test_stop_ends_the_job_as_stopped(work: Work) -> None:
    change(work, status="STOPPING")
    assert not perform(work, raising(JobStoppedError()))
    assert (job(work).status, job(work).status_message) == ("STOPPED", f"{STOPPED_MESSAGE} {NOTHING_LEFT}")


def test_stop_while_the_store_is_waited_for(work: Work) -> None:
    def step() -> None:
        change(work, status="STOPPING")
        raise StoreUnavailableError("Not now.")

    assert not perform(work, step)
    assert (job(work).status, work.cleaned) == ("STOPPED", [1])


def test_a_stop_that_comes_while_a_failure_is_recorded_is_honoured(work: Work) -> None:
    def step() -> None:
        change(work, status="STOPPING")
        raise ValidationError("This is wrong.")

    assert not perform(work, step)
    assert job(work).status == "STOPPED"
    assert "This is wrong." in job(work).status_message


@pytest.mark.parametrize(("error", "status"), [(JobStoppedError(), "STOPPED"), (ValidationError("No."), "FAILED")])
def test_a_clean_up_that_fails_is_told_and_nothing_else_is_promised(work: Work, error: Exception, status: str) -> None:
    work.clean_up_error = StoreUnavailableError("The store is away.")
    if status == "STOPPED":
        change(work, status="STOPPING")
    assert not perform(work, raising(error))
    assert job(work).status == status
    assert "could not be removed yet: The store is away." in job(work).status_message
    assert NOTHING_LEFT not in job(work).status_message
    assert left(work) == [job(work).output_key]


def test_a_clean_up_that_does_well_leaves_nothing_to_look_for(work: Work) -> None:
    assert not perform(work, raising(ValidationError("No.")))
    assert left(work) == []


def test_what_an_attempt_that_was_superseded_meanwhile_left_is_its_successor_s_to_remove(work: Work) -> None:
    def supersede_then_fail(attempt: Attempt[EdgePackagingJob]) -> None:
        begin_next(work)
        raise StoreUnavailableError("The store is away.")

    work.clean_up = supersede_then_fail  # type: ignore[method-assign]
    assert not perform(work, raising(ValidationError("No.")))
    assert (job(work).status, left(work)) == ("INPROGRESS", [])


def test_not_even_a_defect_in_the_clean_up_keeps_a_job_from_ending(work: Work) -> None:
    work.clean_up_error = ZeroDivisionError("the secret of it")
    assert not perform(work, raising(ValidationError("This is wrong.")))
    assert job(work).status == "FAILED"
    assert "could not be removed" in job(work).status_message
    assert "secret" not in job(work).status_message


def test_an_attempt_that_was_superseded_cleans_nothing_up(work: Work) -> None:
    """Its errors are of no interest to anybody, and what it would remove may be its successor's."""

    def step() -> None:
        begin_next(work)
        raise ValidationError("This is wrong.")

    assert not perform(work, step)
    assert (job(work).status, job(work).attempt, work.cleaned) == ("INPROGRESS", 2, [])
    assert not perform(work, raising(JobSupersededError()), number=2)
    assert (job(work).status, work.cleaned) == ("INPROGRESS", [])


def test_an_attempt_that_comes_too_late_does_nothing(work: Work) -> None:
    change(work, status="COMPLETED")
    assert not perform(work, raising(AssertionError("it was run")))
    assert (job(work).status, work.cleaned) == ("COMPLETED", [])


def test_a_job_that_has_killed_its_workers_fails_before_it_is_run(work: Work) -> None:
    change(work, deaths=MAX_DEATHS)
    assert not perform(work, raising(AssertionError("it was run")))
    assert (job(work).status, work.cleaned) == ("FAILED", [1])
    assert "workers died" in job(work).status_message


def test_a_database_that_fails_is_the_engine_s_to_deal_with(work: Work) -> None:
    with pytest.raises(DatabaseUnavailableError):
        perform(work, raising(DatabaseUnavailableError("Away.")))
    assert (job(work).status, work.cleaned) == ("INPROGRESS", [])


def test_a_stop_that_meets_a_worker_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    share_log()
    logger = logging.getLogger("dbos")
    for error in (engine_errors.DBOSAwaitedWorkflowCancelledError("w"), RuntimeError("a defect")):
        logger.error("Exception encountered", exc_info=error)
    assert [record.exc_info[1].args for record in caplog.records if record.exc_info and record.exc_info[1]] == [
        ("a defect",)
    ]
