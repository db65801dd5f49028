"""What was left because the store could not be reached, or a worker died, is removed later; what is in use is not."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from edgepack.database import executors, leftovers, outputs, uploads
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.records import EdgePackagingJob, OpenUpload
from edgepack.database.schema import leases
from edgepack.database.schema import leftovers as leftovers_table
from edgepack.jobs.attempt import note_leftover
from edgepack.jobs.edge_packaging import EdgePackagingWork
from edgepack.jobs.lifecycle import ACTIVE
from edgepack.jobs.scratch import Scratch, ScratchError
from edgepack.jobs.sweeper import LOOKED_FOR_MICROSECONDS, Sweeper
from edgepack.objects.address import S3Address
from edgepack.objects.errors import StoreAccessDeniedError, StoreUnavailableError
from edgepack.objects.info import Mark
from edgepack.objects.ports import draw_ports
from edgepack.objects.store import ObjectStore
from rows import packaging_row
from s3_proxy import S3Proxy, s3_error
from stores import RunningStore


def sweeper(database: Database, store: ObjectStore, executor_id: str = "me") -> Sweeper:
    return Sweeper(
        database, store, [work_on(database, store)], scratch=Scratch(Path("/nowhere")), executor_id=executor_id
    )


def work_on(database: Database, store: ObjectStore) -> EdgePackagingWork:
    unused: Any = None
    return EdgePackagingWork(database, store=store, room=unused, signer=unused, trust=unused, clock=lambda: 1)


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


def test_what_cannot_be_aborted_keeps_nothing_else_from_it(
    database: Database, weed: RunningStore, bucket: str, proxy: S3Proxy, behind_proxy: ObjectStore
) -> None:
    for name in ("refused", "ended"):
        left(database, weed, bucket, name)
        end(database, name)
    proxy.rule = lambda request: s3_error(403, "AccessDenied") if request.path.endswith("/refused") else None
    with pytest.raises(StoreAccessDeniedError):
        sweeper(database, behind_proxy).run_once()
    assert [address.key for address, _ in weed.store.list_uploads(bucket)] == ["refused"]


def suspect(database: Database, bucket: str, name: str, status: str) -> EdgePackagingJob:
    """A job of which it is not known what it has left at its output."""
    with database.write() as connection:
        row = packaging_row(name, status=status, output_bucket=bucket, output_key=name)
        job = edge_packaging_jobs.insert(connection, row)
        note_leftover(connection, job, S3Address(bucket, name))
    return job


def mark(job: EdgePackagingJob) -> Mark:
    return Mark(owner=job.arn, created_at=job.created_at, attempt=1)


def noted(database: Database) -> list[str]:
    with database.read() as connection:
        return [each.key for each in leftovers.oldest(connection, 10)]


@pytest.mark.parametrize("status", ["FAILED", "STOPPED"])
def test_an_object_that_an_ended_job_left_is_deleted(
    database: Database, weed: RunningStore, bucket: str, status: str
) -> None:
    job, address = suspect(database, bucket, "left", status), S3Address(bucket, "left")
    weed.put(address, b"a package that nobody has completed", mark=mark(job))
    weed.store.begin_upload(address)  # by a worker that died before it could note it
    assert sweeper(database, weed.store).run_once() == 2
    assert weed.is_untouched(bucket)
    with database.read() as connection:
        assert outputs.writer(connection, address.place) is None
    assert sweeper(database, weed.store).run_once() == 0


@pytest.mark.parametrize("whose", ["its own, completed", "another job's", "a later job's of its name", "anybody's"])
def test_no_other_object_is(database: Database, weed: RunningStore, bucket: str, whose: str) -> None:
    job = suspect(database, bucket, "kept", "COMPLETED" if whose.startswith("its own") else "FAILED")
    marks = {
        "its own, completed": mark(job),
        "another job's": Mark(owner=f"{job.arn}-2", created_at=job.created_at, attempt=1),
        "a later job's of its name": Mark(owner=job.arn, created_at=job.created_at + 1, attempt=1),
        "anybody's": None,
    }
    weed.put(S3Address(bucket, "kept"), b"kept", mark=marks[whose])
    assert sweeper(database, weed.store).run_once() == 0
    assert weed.content(S3Address(bucket, "kept")) == b"kept"


@pytest.mark.parametrize("busy", ["the job itself runs", "another job writes there", "a later job of its name runs"])
def test_nothing_is_taken_from_under_a_running_job(
    database: Database, weed: RunningStore, bucket: str, busy: str
) -> None:
    job, address = suspect(database, bucket, "busy", "FAILED"), S3Address(bucket, "busy")
    weed.put(address, b"left", mark=mark(job))
    weed.store.begin_upload(address)
    writer = f"{job.arn}-2" if busy.startswith("another") else job.arn
    with database.write() as connection:
        assert outputs.claim(connection, address.place, writer)
        status, later = ("FAILED" if busy.startswith("another") else "INPROGRESS"), int(busy.startswith("a later"))
        connection.exec_driver_sql(
            f"UPDATE edge_packaging_jobs SET status = '{status}', created_at = created_at + {later}"
        )
    assert sweeper(database, weed.store).run_once() == 0
    assert len(weed.store.list_uploads(bucket)) == 1
    assert weed.content(address) == b"left"
    assert noted(database) == ["busy"]
    with database.write() as connection:
        assert outputs.writer(connection, address.place) == writer
        outputs.release(connection, writer)
        connection.exec_driver_sql(
            f"UPDATE edge_packaging_jobs SET status = 'FAILED', created_at = created_at - {later}"
        )
    assert sweeper(database, weed.store).run_once() == 2


def test_a_sweeper_that_died_at_it_is_followed_by_another(database: Database, weed: RunningStore, bucket: str) -> None:
    job, address = suspect(database, bucket, "left", "FAILED"), S3Address(bucket, "left")
    with database.write() as connection:
        assert outputs.claim(connection, address.place, job.arn)
    sweeper(database, weed.store).run_once()
    with database.write() as connection:
        assert outputs.claim(connection, address.place, "another job")


def test_one_looks_again_for_as_long_as_something_may_come(database: Database, weed: RunningStore, bucket: str) -> None:
    suspect(database, bucket, "late", "COMPLETED")
    assert sweeper(database, weed.store).run_once() == 0
    weed.store.begin_upload(S3Address(bucket, "late"))
    assert sweeper(database, weed.store).run_once() == 1
    assert noted(database) == ["late"]
    with database.write() as connection:
        past = leftovers_table.c.noted_at - LOOKED_FOR_MICROSECONDS - 1
        connection.execute(sa.update(leftovers_table).values(noted_at=past))
    sweeper(database, weed.store).run_once()
    assert noted(database) == []


def test_a_scratch_folder_that_cannot_be_read_keeps_nothing_from_being_removed(
    database: Database, weed: RunningStore, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "scratch").touch()
    left(database, weed, bucket, "ended")
    end(database, "ended")
    works, scratch = [work_on(database, weed.store)], Scratch(tmp_path / "scratch")
    with pytest.raises(ScratchError):
        Sweeper(database, weed.store, works, scratch=scratch, executor_id="me").run_once()
    assert weed.store.list_uploads(bucket) == []


def test_the_scratch_of_dead_workers_goes_whoever_sweeps_the_store(
    database: Database, weed: RunningStore, tmp_path: Path
) -> None:
    abandoned = tmp_path / "scratch" / "worker-abandoned"
    abandoned.mkdir(parents=True)
    with database.write() as connection:
        executors.take_lease(connection, "sweeper", "another", duration=60_000_000)
    scratch = Scratch(tmp_path / "scratch")
    assert Sweeper(database, weed.store, [], scratch=scratch, executor_id="me").run_once() == 0
    assert not abandoned.exists()
