"""What every kind of job does alike: its steps in order, retries, one ending, and nothing left behind by the others.

A step never raises for what went wrong with the job: it ends the job itself and tells that there is nothing more to do.
An exception that does leave a step means that edgepack's own database failed; the engine then tries the step again, and
when the workflow itself fails, the reaper begins another attempt.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

from dbos import DBOS

from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.database.jobs import JobTable
from edgepack.database.records import CompilationJob, EdgePackagingJob
from edgepack.errors import ArtifactError, EdgepackError
from edgepack.jobs.attempt import Attempt, Clock, Job, JobStoppedError, JobSupersededError, note_leftover
from edgepack.jobs.lifecycle import FAILED, MAX_DEATHS, STOPPED
from edgepack.jobs.observing import Watch
from edgepack.objects.address import S3Address
from edgepack.objects.errors import ObjectStoreError
from edgepack.telemetry.context import bound, note
from edgepack.telemetry.observers import UNOBSERVED, JobObserver

if TYPE_CHECKING:
    from dbos import StepOptions

log = logging.getLogger(__name__)

Step = tuple[str, Callable[[], None]]
"""A name, under which the engine records it, and what to do."""

STATUS_CHECK_SECONDS = 0.25
"""How often a running job asks whether it should stop: bounds how long Stop takes while bytes flow."""

STORE_ATTEMPTS = 6
STORE_BACKOFF_SECONDS = 1.0
"""First wait before a step is tried again after the store was unavailable; doubled each time: half a minute in all,
which is longer than a store takes to be started again."""

DATABASE_RETRIES: Mapping[str, Any] = {
    "retries_allowed": True,
    "max_attempts": 8,
    "interval_seconds": 1.0,
    "backoff_rate": 2.0,
    "should_retry": lambda error: isinstance(error, DatabaseUnavailableError),
}

STOPPED_MESSAGE = "Stopped at the caller's request."
NOTHING_LEFT = "Nothing was left in the output location."
DEFECT_MESSAGE = "InternalFailure: the worker met a defect of its own; its log has the details."


class PoisonJobError(ArtifactError):
    """Several workers have died on the job. It is the cause and not the victim: it ran alone on the last of them."""

    code = "PoisonJob"
    advice = "The model artifact may be at fault; the workers' logs say how they ended."


def system_clock() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def _require_harmless(job: EdgePackagingJob | CompilationJob) -> None:
    if job.deaths >= MAX_DEATHS:
        raise PoisonJobError(f"{job.deaths} workers died while they ran this job.")


class JobWork(Generic[Job]):
    """A kind of job: its steps, and what it must remove when it ends without a result.

    Args:
        database: Where the job's row is.
        jobs: The queries over its table.
        clock: Microseconds since the epoch.
        observer: Told what the jobs do.
    """

    workflow: ClassVar[str]
    queue: ClassVar[str]

    def __init__(
        self, database: Database, jobs: JobTable[Job], clock: Clock, *, observer: JobObserver = UNOBSERVED
    ) -> None:
        self.database = database
        self.jobs: JobTable[Job] = jobs
        self.clock = clock
        self.observer = observer

    @property
    def kind(self) -> str:
        """The kind of job, as metrics and traces call it: `edge_packaging`, `compilation`."""
        return self.workflow.removesuffix("_job")

    def steps(self, attempt: Attempt[Job]) -> Sequence[Step]:
        """The steps of one attempt, in order; they share what they find out. Each may run twice, and leaves one result.

        Raises from a step:
            EdgepackError: Ends the job as FAILED, with the error's message and advice.
            JobStoppedError: Ends it as STOPPED.
            JobSupersededError: Ends the attempt and nothing else.
        """
        raise NotImplementedError

    def target(self, job: Job) -> S3Address:
        """The object that a job writes."""
        raise NotImplementedError

    def clean_up(self, attempt: Attempt[Job]) -> None:
        """Remove what this attempt and the ones before it may have written; may run twice.

        Raises:
            EdgepackError: Something could not be removed.
        """
        raise NotImplementedError

    def ending(self, status: str, message: str) -> dict[str, Any]:
        """The columns that a final state without a result sets."""
        raise NotImplementedError

    def run(self, job_id: int, number: int) -> None:
        """Run one attempt: a workflow's body, inside the engine, on a worker."""
        attempt = Attempt(self.database, self.jobs, self.clock, job_id=job_id, number=number)
        watch = Watch(self.observer, self.kind, attempt)
        with bound(attempt=number), watch.whole():
            for name, step in self.steps(attempt):
                if not watch.step(name, partial(self._engine_step, name, attempt, step)):
                    return

    def _engine_step(self, name: str, attempt: Attempt[Job], step: Callable[[], None]) -> bool:
        options = cast("StepOptions", {"name": name, **DATABASE_RETRIES})
        return DBOS.run_step(options, self.perform, attempt, step)

    def perform(self, attempt: Attempt[Job], step: Callable[[], None]) -> bool:
        """Do one step, or end the job; whether there is more to do.

        Raises:
            DatabaseUnavailableError: The job could neither go on nor be ended.
        """
        try:
            attempt.refresh()
            note(job_arn=attempt.job.arn)
            _require_harmless(attempt.job)
            self._with_retries(attempt, step)
        except JobSupersededError:
            log.warning("attempt %d is no longer the current one", attempt.number)
        except JobStoppedError:
            self._end(attempt, STOPPED, STOPPED_MESSAGE)
        except DatabaseUnavailableError:
            raise
        except EdgepackError as error:
            log.info("failed: %s", error.message)
            self._end(attempt, FAILED, error.diagnostics())
        except Exception:
            log.exception("failed on a defect")
            self._end(attempt, FAILED, DEFECT_MESSAGE)
        else:
            return True
        return False

    def _with_retries(self, attempt: Attempt[Job], step: Callable[[], None]) -> None:
        for number in range(1, STORE_ATTEMPTS):
            try:
                return step()
            except ObjectStoreError as error:
                if not error.retryable:
                    raise
                log.warning("%s Trying again.", error.message)
                self.observer.store_retried(self.kind)
                self._wait(attempt, STORE_BACKOFF_SECONDS * 2 ** (number - 1))
        return step()

    def _wait(self, attempt: Attempt[Job], seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            attempt.require_running()
            time.sleep(STATUS_CHECK_SECONDS)

    def _end(self, attempt: Attempt[Job], status: str, message: str) -> None:
        """End a job without a result: first remove what it wrote, then say so.

        Only an attempt that is still the current one removes anything, and none removes what a later one wrote.
        """
        try:
            attempt.refresh()
            left = self._left_behind(attempt)
            within = (
                (lambda connection: note_leftover(connection, attempt.job, self.target(attempt.job))) if left else None
            )
            message = f"{message} {left or (NOTHING_LEFT if status == STOPPED else '')}".rstrip()
            try:
                attempt.change(to=status, within=within, **self.ending(status, message))
            except JobStoppedError:  # a Stop request that came while the failure was being recorded
                stopped = self.ending(STOPPED, f"{STOPPED_MESSAGE} {message}")
                attempt.change(to=STOPPED, within=within, **stopped)
        except JobSupersededError:
            log.warning("attempt %d was superseded before it could end the job", attempt.number)

    def _left_behind(self, attempt: Attempt[Job]) -> str:
        """Clean up; what is to be said of that if something could not be removed, else nothing."""
        try:
            self.clean_up(attempt)
        except (DatabaseUnavailableError, JobSupersededError):
            raise
        except EdgepackError as error:
            log.warning("clean-up failed: %s", error.message)
            return f"What it had written could not be removed yet: {error.message}"
        except Exception:
            log.exception("clean-up failed on a defect")
            return "What it had written could not be removed yet; the worker's log has the details."
        return ""
