"""One attempt at a job: whatever it writes is refused once the job has ended or another attempt has begun.

A worker that was taken for dead may come back at any moment, even between two statements. So no attempt relies on being
the only one: each has a number, which comes with its workflow; the job's row has the number of the attempt that may
write; and every change names its own.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from sqlalchemy.engine import Connection

from edgepack.database import leftovers, outputs, uploads
from edgepack.database.engine import Database
from edgepack.database.executors import database_now
from edgepack.database.jobs import JobTable
from edgepack.database.records import CompilationJob, EdgePackagingJob, Leftover, OpenUpload
from edgepack.jobs.lifecycle import FINAL, INPROGRESS, STOPPING, may_become
from edgepack.objects.address import S3Address
from edgepack.objects.info import Mark

log = logging.getLogger(__name__)

Job = TypeVar("Job", EdgePackagingJob, CompilationJob)
Clock = Callable[[], int]


class JobStoppedError(Exception):
    """The job's status has become STOPPING: end it as STOPPED."""


class JobSupersededError(Exception):
    """The job has ended, or another attempt has begun: leave without a trace."""


class Attempt(Generic[Job]):
    """What one workflow holds of its job.

    Args:
        database: Where the job's row is.
        jobs: The queries over its table.
        clock: Microseconds since the epoch.
        job_id: The job's row id.
        number: The attempt's number.

    Attributes:
        bytes_read: Bytes of the model that have been read from the store.
        bytes_written: Size of what has been left there.
    """

    def __init__(self, database: Database, jobs: JobTable[Job], clock: Clock, *, job_id: int, number: int) -> None:
        self.number = number
        self.clock = clock
        self._database = database
        self._jobs: JobTable[Job] = jobs
        self._job_id = job_id
        self._job: Job | None = None
        self.bytes_read = 0
        self.bytes_written = 0

    @property
    def job(self) -> Job:
        """The job's row, as this attempt last read or wrote it."""
        assert self._job is not None  # `refresh` comes first
        return self._job

    @property
    def known(self) -> Job | None:
        """The same; None while nothing has been read."""
        return self._job

    @property
    def mark(self) -> Mark:
        """What this attempt leaves on the objects that it writes."""
        return Mark(owner=self.job.arn, created_at=self.job.created_at, attempt=self.number)

    def refresh(self) -> None:
        """Read the job's row.

        Raises:
            JobSupersededError: The job is no longer this attempt's.
        """
        with self._database.read() as connection:
            job = self._jobs.by_id(connection, self._job_id)
        if job is None or job.attempt != self.number or job.status in FINAL:
            raise JobSupersededError
        self._job = job

    def advance(self, **values: Any) -> None:
        """Move the job to (or keep it at) INPROGRESS.

        Raises:
            JobStoppedError: A Stop request came first.
            JobSupersededError: The job is no longer this attempt's.
        """
        self.change(to=INPROGRESS, **values)

    def change(
        self,
        *,
        to: str,
        outcome: Mapping[str, Any] | None = None,
        within: Callable[[Connection], None] | None = None,
        **values: Any,
    ) -> None:
        """One conditional update to the status `to`, from the statuses that lead there; a job that ends writes no more.

        Args:
            to: The status.
            outcome: Members that a final state adds to the Describe answer.
            within: What else happens in the same transaction, if the job is still this attempt's.
            values: Columns to set.

        Raises:
            JobStoppedError: The job is STOPPING, which does not lead there.
            JobSupersededError: The job is no longer this attempt's.
        """
        with self._database.write() as connection:
            changed = self._jobs.change(
                connection,
                self._job_id,
                expected=may_become(to),
                attempt=self.number,
                outcome=outcome,
                status=to,
                modified_at=self.clock(),
                **values,
            )
            if changed is not None and to in FINAL:
                outputs.release(connection, changed.arn)
            if changed is not None and within is not None:
                within(connection)
        if changed is None:
            self.require_running()
            raise JobSupersededError
        self._job = changed

    def require_running(self) -> None:
        """Go on only while the job is this attempt's and nobody asked it to stop.

        Raises:
            JobStoppedError: The job is STOPPING.
            JobSupersededError: The job is no longer this attempt's.
        """
        with self._database.read() as connection:
            if self._current_status(connection) == STOPPING:
                raise JobStoppedError

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction in which the job is this attempt's from the first statement to the commit.

        Raises:
            JobSupersededError: It is not.
        """
        with self._database.write() as connection:
            self._current_status(connection)
            yield connection

    def note_upload(self, target: S3Address, upload_id: str) -> None:
        """Note a multipart upload that has been begun, before anything is sent.

        Raises:
            JobSupersededError: The job is no longer this attempt's.
        """
        upload = OpenUpload(
            upload_id=upload_id,
            owner_arn=self.job.arn,
            attempt=self.number,
            bucket=target.bucket,
            key=target.key,
        )
        with self.transaction() as connection:
            uploads.add(connection, upload)

    def note_leftover(self, target: S3Address) -> None:
        """Note that this attempt may have left an upload of which it has never heard.

        Raises:
            JobSupersededError: The job is no longer this attempt's; then it has been noted already.
        """
        with self.transaction() as connection:
            note_leftover(connection, self.job, target)

    def noted_uploads(self) -> list[OpenUpload]:
        """The uploads that this attempt and the ones before it have begun."""
        with self._database.read() as connection:
            return uploads.begun_by(connection, self.job.arn, up_to_attempt=self.number)

    def forget_upload(self, upload_id: str) -> None:
        """Forget an upload that is known to be gone."""
        with self._database.write() as connection:
            uploads.remove(connection, upload_id)

    def _current_status(self, connection: Connection) -> str:
        status, attempt = self._jobs.ownership(connection, self._job_id)
        if status is None or status in FINAL or attempt != self.number:
            raise JobSupersededError
        return status


def note_leftover(connection: Connection, job: EdgePackagingJob | CompilationJob, target: S3Address) -> None:
    """Have the sweeper look, once a job has ended, for what it may have left at its output."""
    leftover = Leftover(
        owner_arn=job.arn,
        owner_created_at=job.created_at,
        bucket=target.bucket,
        key=target.key,
        noted_at=database_now(connection),
    )
    leftovers.note(connection, leftover)
