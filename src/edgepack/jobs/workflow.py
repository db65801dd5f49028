"""What every kind of job does alike: steps that may run twice, one ending, and nothing left behind by the others.

A step returns plain JSON. It never raises for what went wrong with the job: it ends the job itself, and says so. So a
replay after a crash meets the same decisions, and an exception that does leave a step means that edgepack's own
database failed; the engine then tries the step again.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

import sqlalchemy as sa
from dbos import DBOS

from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.database.jobs import JobTable
from edgepack.database.records import CompilationJob, EdgePackagingJob
from edgepack.errors import EdgepackError
from edgepack.jobs.lifecycle import FAILED, FINAL, INPROGRESS, STOPPED, STOPPING, may_become
from edgepack.objects.errors import StoreUnavailableError

if TYPE_CHECKING:
    from dbos import StepOptions

log = logging.getLogger(__name__)

Job = TypeVar("Job", EdgePackagingJob, CompilationJob)
Facts = dict[str, Any]
Clock = Callable[[], int]

STATUS_CHECK_SECONDS = 0.25
"""How often a running job asks whether it should stop: bounds how long Stop takes while bytes flow."""

STORE_ATTEMPTS = 4
STORE_BACKOFF_SECONDS = 1.0
"""First wait before a step is tried again after the store was unavailable; doubled each time."""

DATABASE_RETRIES: Mapping[str, Any] = {
    "retries_allowed": True,
    "max_attempts": 8,
    "interval_seconds": 1.0,
    "backoff_rate": 2.0,
    "should_retry": lambda error: isinstance(error, DatabaseUnavailableError),
}


class JobStoppedError(Exception):
    """Raised inside a step when the job's status has become STOPPING; ends it as STOPPED."""


class JobSupersededError(Exception):
    """Raised inside a step when another worker has taken the job over, or it has ended: leave without a trace."""


def system_clock() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


class JobWork(Generic[Job]):
    """A kind of job: its steps in order and what it must remove when it ends without a result.

    Args:
        database: Where the job's row is.
        jobs: The queries over its table.
        clock: Microseconds since the epoch.
    """

    workflow: ClassVar[str]
    queue: ClassVar[str]

    def __init__(self, database: Database, jobs: JobTable[Job], clock: Clock) -> None:
        self.database = database
        self.jobs: JobTable[Job] = jobs
        self.clock = clock

    def steps(self) -> list[tuple[str, Callable[[Job, Facts], Facts]]]:
        """The steps in order; each takes the job and the facts so far and returns the facts it adds."""
        raise NotImplementedError

    def clean_up(self, job: Job) -> None:
        """Remove what the job may have written; may run twice."""
        raise NotImplementedError

    def run(self, job_id: int) -> None:
        """Run the workflow: inside the engine, on a worker."""
        facts: Facts = {}
        for name, step in self.steps():
            result = self._run_step(name, step, job_id, facts)
            if result["ended"]:
                return
            facts |= result["facts"]

    def _run_step(self, name: str, step: Callable[[Job, Facts], Facts], job_id: int, facts: Facts) -> Facts:
        def guarded() -> Facts:
            return self._guarded(step, job_id, facts)

        options = cast("StepOptions", {"name": name, **DATABASE_RETRIES})
        return DBOS.run_step(options, guarded)

    def advance(self, job: Job, **values: Any) -> Job:
        """Move a job to (or keep it at) INPROGRESS.

        Raises:
            JobStoppedError: A Stop request came first.
            JobSupersededError: The job is no longer this worker's.
        """
        return self.change(job, to=INPROGRESS, **values)

    def change(self, job: Job, *, to: str, outcome: Mapping[str, Any] | None = None, **values: Any) -> Job:
        """One conditional update to the status `to`, from the statuses that lead there, in this worker's name.

        Raises:
            JobStoppedError: The job is STOPPING, which does not lead there.
            JobSupersededError: The job has ended or was handed to another worker.
        """
        with self.database.write() as connection:
            changed = self.jobs.change(
                connection,
                job.id,
                expected=may_become(to),
                attempt=job.recoveries,
                outcome=outcome,
                status=to,
                modified_at=self.clock(),
                **values,
            )
        if changed is None:
            self.require_running(job)
            raise JobSupersededError
        return changed

    def require_running(self, job: Job) -> None:
        """Go on only while the job is this worker's and nobody asked it to stop.

        Raises:
            JobStoppedError: The job is STOPPING.
            JobSupersededError: The job has ended or was handed to another worker.
        """
        with self.database.read() as connection:
            status, recoveries = self.jobs.standing(connection, job.id)
        if recoveries != job.recoveries or status in FINAL or status is None:
            raise JobSupersededError
        if status == STOPPING:
            raise JobStoppedError

    def _guarded(self, step: Callable[[Job, Facts], Facts], job_id: int, facts: Facts) -> Facts:
        with self.database.read() as connection:
            job = self.jobs.by_id(connection, job_id)
        if job is None or job.status in FINAL:
            return {"ended": True}
        try:
            return {"ended": False, "facts": self._patiently(step, job, facts)}
        except JobSupersededError:
            log.warning("%s is no longer this worker's job", job.arn)
        except JobStoppedError:
            self._end(job, STOPPED, "Stopped at the caller's request. Nothing was left in the output location.")
        except DatabaseUnavailableError:
            raise
        except EdgepackError as error:
            log.info("%s failed: %s", job.arn, error.message)
            self._end(job, FAILED, error.diagnostics())
        except Exception:
            log.exception("%s failed on a defect", job.arn)
            self._end(job, FAILED, "InternalFailure: the worker met a defect of its own; its log has the details.")
        return {"ended": True}

    def _patiently(self, step: Callable[[Job, Facts], Facts], job: Job, facts: Facts) -> Facts:
        for attempt in range(STORE_ATTEMPTS):
            try:
                return step(job, facts)
            except StoreUnavailableError as error:
                if attempt == STORE_ATTEMPTS - 1:
                    raise
                log.warning("%s: %s Trying again.", job.arn, error.message)
                self._wait(job, STORE_BACKOFF_SECONDS * 2**attempt)
        raise AssertionError  # the loop returns or raises

    def _wait(self, job: Job, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.require_running(job)
            time.sleep(STATUS_CHECK_SECONDS)

    def _end(self, job: Job, status: str, message: str) -> None:
        """End a job without a result: first remove what it wrote, then say so."""
        try:
            self.clean_up(job)
        except EdgepackError as error:
            message += f" What it had written could not be removed: {error.message}"
            log.warning("%s: clean-up failed: %s", job.arn, error.message)
        try:
            self.change(job, to=status, **self.ending(status, message))
        except JobStoppedError:  # a Stop request that came while the failure was being recorded
            self.change(job, to=STOPPED, **self.ending(STOPPED, f"Stopped at the caller's request. {message}"))
        except JobSupersededError:
            log.warning("%s was ended by somebody else", job.arn)

    def ending(self, status: str, message: str) -> dict[str, Any]:
        """The columns that a final state without a result sets."""
        raise NotImplementedError

    def count_recovery(self, workflow_id: str, *, died: bool) -> int:
        """Count a hand-over; from now on the former worker's writes are refused. How many workers died on the job."""
        table = self.jobs.table
        update = (
            sa.update(table)
            .where(table.c.workflow_id == workflow_id)
            .values(recoveries=table.c.recoveries + 1, deaths=table.c.deaths + int(died))
            .returning(table.c.deaths)
        )
        with self.database.write() as connection:
            return connection.execute(update).scalar() or 0

    def active_workflows(self, statuses: Collection[str]) -> list[str]:
        """Workflow ids of jobs that have not ended."""
        table = self.jobs.table
        query = sa.select(table.c.workflow_id).where(table.c.status.in_(statuses))
        with self.database.read() as connection:
            return list(connection.execute(query).scalars())

    def fail_poison(self, workflow_id: str) -> bool:
        """Fail a job that has outlived too many workers."""
        return self._close(
            workflow_id, "Several workers died while they ran this job. The model artifact may be at fault."
        )

    def fail_abandoned(self, workflow_id: str) -> bool:
        """Fail a job whose workflow ended without ending it; whether there was one."""
        return self._close(
            workflow_id, "InternalFailure: the workflow ended without a result; the worker's log has the details."
        )

    def _close(self, workflow_id: str, message: str) -> bool:
        table = self.jobs.table
        with self.database.read() as connection:
            rows = list(connection.execute(sa.select(table).where(table.c.workflow_id == workflow_id)).mappings())
        for job in self.jobs.records(rows):
            if job.status not in FINAL:
                self._end(job, STOPPED if job.status == STOPPING else FAILED, message)
                return True
        return False
