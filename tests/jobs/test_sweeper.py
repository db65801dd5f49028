"""Uploads that were left when the store could not be reached are aborted later; those of running jobs are not."""

from typing import Any

import pytest
import sqlalchemy as sa

from edgepack.database import executors, uploads
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.records import OpenUpload
from edgepack.database.schema import leases
from edgepack.jobs.edge_packaging import EdgePackagingWork
from edgepack.jobs.lifecycle import ACTIVE
from edgepack.jobs.sweeper import Sweeper
from edgepack.objects.address import S3Address
from edgepack.objects.errors import StoreUnavailableError
from edgepack.objects.ports import draw_ports
from edgepack.objects.store import ObjectStore
from rows import packaging_row
from stores import RunningStore


def sweeper(database: Database, store: ObjectStore, executor_id: str = "me") -> Sweeper:
    unused: Any = None
    work = EdgePackagingWork(database, store=store, room=unused, signer=unused, trust=unused, clock=lambda: 1)
    return Sweeper(database, store, [work], executor_id=executor_id)


def left(database: Database, weed: RunningStore, bucket: str, name: str) -> str:
    """A running job with an upload."""
    upload = weed.store.begin_upload(S3Address(bucket, name))
    with database.write() as connection:
        job = edge_packaging_jobs.insert(connection, packaging_row(name, status="INPROGRESS"))
        uploads.add(
            connection,
            OpenUpload(upload_id=upload.upload_id, owner_arn=job.arn, attempt=1, bucket=bucket, key=name),
        )
    return upload.upload_id


def end(database: Database, name: str) -> None:
    with database.write() as connection:
        job = edge_packaging_jobs.named(connection, "000000000000", name)
        assert job is not None
        edge_packaging_jobs.change(connection, job.id, expected=ACTIVE, status="FAILED")


def test_only_what_ended_jobs_left_is_aborted(database: Database, weed: RunningStore, bucket: str) -> None:
    left(database, weed, bucket, "ended")
    running = left(database, weed, bucket, "running")
    end(database, "ended")
    assert sweeper(database, weed.store).run_once() == 1
    assert [upload_id for _, upload_id in weed.store.list_uploads(bucket)] == [running]
    assert sweeper(database, weed.store).run_once() == 0
    end(database, "running")
    assert sweeper(database, weed.store).run_once() == 1
    assert weed.store.list_uploads(bucket) == []


def test_a_store_that_is_still_away_is_asked_again(database: Database, weed: RunningStore, bucket: str) -> None:
    left(database, weed, bucket, "ended")
    end(database, "ended")
    (port,) = draw_ports(1)
    with pytest.raises(StoreUnavailableError):
        sweeper(database, weed.connect(endpoint=f"http://127.0.0.1:{port}")).run_once()
    assert sweeper(database, weed.store).run_once() == 1


def test_one_sweeper_at_a_time(database: Database, weed: RunningStore, bucket: str) -> None:
    left(database, weed, bucket, "ended")
    end(database, "ended")
    with database.write() as connection:
        executors.take_lease(connection, "sweeper", "another", duration=1_000_000)
    assert sweeper(database, weed.store).run_once() == 0
    with database.write() as connection:
        connection.execute(sa.delete(leases))
    assert sweeper(database, weed.store).run_once() == 1
