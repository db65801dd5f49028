"""Looking at the place where an ended job wrote for what it has left there, and removing that and nothing else."""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import Connection

from edgepack.contract.arns import parse_arn
from edgepack.database import outputs
from edgepack.database.engine import Database
from edgepack.database.executors import database_now
from edgepack.database.records import Leftover
from edgepack.jobs.lifecycle import ACTIVE, COMPLETED
from edgepack.jobs.replacing import replace_holder
from edgepack.jobs.workflow import JobWork
from edgepack.objects.address import S3Address
from edgepack.objects.errors import BucketNotFoundError, ObjectNotFoundError, StoreAccessDeniedError
from edgepack.objects.info import ObjectInfo
from edgepack.objects.store import ObjectStore

log = logging.getLogger(__name__)


class Leavings:
    """What one job may have left.

    Args:
        database: Where jobs are.
        store: Where it wrote.
        works: The kinds of work.
        leftover: Which job, and where.
    """

    def __init__(
        self, database: Database, store: ObjectStore, works: Collection[JobWork[Any]], leftover: Leftover
    ) -> None:
        self._database = database
        self._store = store
        self._works = works
        self._owner = leftover.owner_arn
        self._created_at = leftover.owner_created_at
        self._target = S3Address(leftover.bucket, leftover.key)

    def remove(self) -> int | None:
        """Remove it; how many uploads and objects that were, or None if it could not be looked for yet.

        While something is removed, the place is the ended job's again, so that no other job begins to write there: an
        upload that is listed is nobody else's, and no job finds the ground taken from under it.

        Raises:
            EdgepackError: The database or the store failed.
        """
        with self._database.read() as connection:
            writer = outputs.writer(connection, self._target.place)
            job = owner_of(self._works, connection, self._owner)
        if writer not in {None, self._owner} or (job is not None and job.status in ACTIVE):
            return None
        # Of a job that has been forgotten it is not known any more that it left no result.
        without_result = job is not None and job.created_at == self._created_at and job.status != COMPLETED
        if writer is None and not self._uploads() and not (without_result and self._object()):
            return 0
        with self._place_to_itself() as alone:
            if not alone:
                return None
            return self._abort_uploads() + (self._delete_object() if without_result else 0)

    @contextmanager
    def _place_to_itself(self) -> Iterator[bool]:
        """Whether no other job writes there during the block; a sweeper that dies in it is followed by another."""
        place = self._target.place
        with self._database.write() as connection:
            alone = outputs.writer(connection, place) == self._owner or outputs.claim(connection, place, self._owner)
            # Looked for after that: a deleted job's name, and with it its ARN, may be another one's by now.
            job = owner_of(self._works, connection, self._owner)
            alone = alone and (job is None or job.status not in ACTIVE)
        try:
            yield alone
        finally:
            if alone:
                with self._database.write() as connection:
                    outputs.release(connection, self._owner)

    def _uploads(self) -> list[str]:
        try:
            listed = self._store.list_uploads(self._target.bucket, self._target.key)
        except (BucketNotFoundError, StoreAccessDeniedError):
            return []
        return [upload_id for address, upload_id in listed if address == self._target]

    def _object(self) -> ObjectInfo | None:
        """The object there, if it is this job's."""
        try:
            found = self._store.head(self._target)
        except (ObjectNotFoundError, BucketNotFoundError, StoreAccessDeniedError):
            return None
        mine = found.mark is not None and (found.mark.owner, found.mark.created_at) == (self._owner, self._created_at)
        return found if mine else None

    def _abort_uploads(self) -> int:
        left = self._uploads()
        for upload_id in left:
            self._store.abort_upload(self._target, upload_id)
            log.info("aborted an upload to %s that %s had left", self._target, self._owner)
        return len(left)

    def _delete_object(self) -> int:
        found = self._object()
        if found is None or not self._store.delete_if_unchanged(found) or self._store.find(self._target) is not None:
            return 0
        with self._database.write() as connection:
            now = database_now(connection)
            replace_holder(connection, self._target.place, by=self._owner, stands=False, now=now)
        log.info("deleted %s, which %s had left", self._target, self._owner)
        return 1


def owner_of(works: Collection[JobWork[Any]], connection: Connection, arn: str) -> Any:
    """The job that has that ARN now; None if there is none any more."""
    parsed = parse_arn(arn)
    assert parsed is not None
    for work in works:
        job = work.jobs.named(connection, parsed.account_id, parsed.name)
        if job is not None and job.arn == arn:
            return job
    return None
