"""What crashes left: uploads and objects in the store, and folders on this machine, removed once that can be done.

On a thread of its own: the store may be slow, and nothing else is to wait for it.
"""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Final

from edgepack.database import executors, leftovers, uploads
from edgepack.database.engine import Database
from edgepack.database.records import Leftover, OpenUpload
from edgepack.errors import EdgepackError
from edgepack.jobs.leavings import Leavings, owner_of
from edgepack.jobs.lifecycle import ACTIVE
from edgepack.jobs.scratch import Scratch
from edgepack.jobs.workflow import JobWork
from edgepack.objects.address import S3Address
from edgepack.objects.store import ObjectStore

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 60.0
LEASE_NAME: Final = "sweeper"
LEASE_MICROSECONDS: Final = 120_000_000
"""Longer than the time between two sweeps, so that it is one worker's task for as long as it lives."""

UPLOADS_AT_ONCE: Final = 100
LEFTOVERS_AT_ONCE: Final = 100

LOOKED_FOR_MICROSECONDS: Final = 600_000_000
"""How long after a death one looks for what the dead worker's last requests may still have done: a store that was slow
to begin an upload has begun it by then, and every try of the worker's own is over."""


class Sweeper:
    """Removes what is left of jobs that have ended, and of workers that have died.

    Args:
        database: Where uploads and leftovers are noted.
        store: Where they are.
        works: The kinds of work.
        scratch: This worker's part of the machine's scratch folder.
        executor_id: The worker this sweeper lives in.
    """

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        works: Collection[JobWork[Any]],
        *,
        scratch: Scratch,
        executor_id: str,
    ) -> None:
        self._database = database
        self._store = store
        self._works = works
        self._scratch = scratch
        self._executor_id = executor_id
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Sweep now and every `SWEEP_SECONDS` from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no other sweep; one that is under way is left to itself."""
        self._stopping.set()

    def run_once(self) -> int:
        """Sweep this machine, and the store if the lease is ours; how many uploads and objects were removed.

        What fails is left for the next time, and keeps nothing else from being removed.

        Raises:
            EdgepackError: The database or the store failed, the first time.
        """
        errors: list[EdgepackError] = []
        _tried(self._scratch.sweep, errors)
        removed = sum(_tried(task, errors) for task in self._tasks())
        if errors:
            raise errors[0]
        return removed

    def _tasks(self) -> Sequence[Callable[[], int]]:
        """What there is to be done in the store, and is ours to do."""
        with self._database.write() as connection:
            if not executors.take_lease(connection, LEASE_NAME, self._executor_id, duration=LEASE_MICROSECONDS):
                return []
            noted = uploads.some(connection, UPLOADS_AT_ONCE)
            left = [each for each in noted if not self._is_active(connection, each)]
            places = leftovers.oldest(connection, LEFTOVERS_AT_ONCE)
        return [partial(self._abort, each) for each in left] + [partial(self._remove_left, each) for each in places]

    def _is_active(self, connection: Any, upload: OpenUpload) -> bool:
        """Whether the job still runs: then its attempts see to their uploads themselves."""
        job = owner_of(self._works, connection, upload.owner_arn)
        return job is not None and job.status in ACTIVE

    def _abort(self, upload: OpenUpload) -> int:
        self._store.abort_upload(S3Address(upload.bucket, upload.key), upload.upload_id)
        with self._database.write() as connection:
            uploads.remove(connection, upload.upload_id)
        log.info("aborted an upload that %s had left", upload.owner_arn)
        return 1

    def _remove_left(self, leftover: Leftover) -> int:
        removed = Leavings(self._database, self._store, self._works, leftover).remove()
        if removed is None:
            return 0
        with self._database.write() as connection:
            if leftover.noted_at + LOOKED_FOR_MICROSECONDS < executors.database_now(connection):
                leftovers.forget(connection, leftover)
        return removed

    def _run(self) -> None:
        while True:
            try:
                self.run_once()
            except EdgepackError as error:
                log.warning("%s", error.message)
            except Exception:
                log.exception("a sweep failed; trying again")
            if self._stopping.wait(SWEEP_SECONDS):
                return


def _tried(task: Callable[[], int], errors: list[EdgepackError]) -> int:
    try:
        return task()
    except EdgepackError as error:
        errors.append(error)
        return 0
