"""What was left in the store because it could not be reached when a job ended: aborted once it can.

On a thread of its own: the store may be slow, and nothing else is to wait for it.
"""

import logging
import threading
from collections.abc import Collection
from typing import Any, Final

from edgepack.contract.arns import parse_arn
from edgepack.database import executors, uploads
from edgepack.database.engine import Database
from edgepack.database.records import OpenUpload
from edgepack.errors import EdgepackError
from edgepack.jobs.lifecycle import ACTIVE
from edgepack.jobs.workflow import JobWork
from edgepack.objects.address import S3Address
from edgepack.objects.store import ObjectStore
from edgepack.telemetry.context import bound

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 60.0
LEASE_NAME: Final = "sweeper"
LEASE_MICROSECONDS: Final = 120_000_000
"""Longer than the time between two sweeps, so that it is one worker's task for as long as it lives."""

UPLOADS_AT_ONCE: Final = 100


class Sweeper:
    """Aborts uploads that were begun by jobs which have ended.

    Args:
        database: Where uploads are noted.
        store: Where they are.
        works: The kinds of work.
        executor_id: The worker this sweeper lives in.
    """

    def __init__(
        self, database: Database, store: ObjectStore, works: Collection[JobWork[Any]], *, executor_id: str
    ) -> None:
        self._database = database
        self._store = store
        self._works = works
        self._executor_id = executor_id
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Sweep every `SWEEP_SECONDS` from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no other sweep; one that is under way is left to itself."""
        self._stopping.set()

    def run_once(self) -> int:
        """Sweep once, if the lease is ours; how many uploads were aborted.

        Raises:
            EdgepackError: The database or the store failed; the rest stays noted for the next time.
        """
        with self._database.write() as connection:
            if not executors.take_lease(connection, LEASE_NAME, self._executor_id, duration=LEASE_MICROSECONDS):
                return 0
            left = [each for each in uploads.some(connection, UPLOADS_AT_ONCE) if not self._is_active(connection, each)]
        for upload in left:
            self._store.abort_upload(S3Address(upload.bucket, upload.key), upload.upload_id)
            with self._database.write() as connection:
                uploads.remove(connection, upload.upload_id)
            with bound(job_arn=upload.owner_arn, attempt=upload.attempt):
                log.info("aborted an upload that the job had left")
        return len(left)

    def _is_active(self, connection: Any, upload: OpenUpload) -> bool:
        """Whether the job still runs: then its attempts see to their uploads themselves."""
        parsed = parse_arn(upload.owner_arn)
        assert parsed is not None
        named = (work.jobs.named(connection, parsed.account_id, parsed.name) for work in self._works)
        return any(job is not None and job.arn == upload.owner_arn and job.status in ACTIVE for job in named)

    def _run(self) -> None:
        while not self._stopping.wait(SWEEP_SECONDS):
            try:
                self.run_once()
            except EdgepackError as error:
                log.warning("%s", error.message)
            except Exception:
                log.exception("a sweep failed; trying again")
