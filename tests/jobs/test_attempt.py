"""Attempts: of two that think that they are the only one, one writes and the other leaves without a trace."""

import pytest

from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.records import EdgePackagingJob
from edgepack.jobs.attempt import Attempt, JobStoppedError, JobSupersededError
from edgepack.jobs.lifecycle import ACTIVE
from edgepack.objects.address import S3Address
from rows import packaging_row

NOW = 5_000_000
TARGET = S3Address("bucket", "key")


@pytest.fixture
def database(database: Database) -> Database:
    """With one job in it."""
    with database.write() as connection:
        edge_packaging_jobs.insert(connection, packaging_row("a", workflow_id="first"))
    return database


def attempt(database: Database, number: int = 1) -> Attempt[EdgePackagingJob]:
    return Attempt(database, edge_packaging_jobs, lambda: NOW, job_id=1, number=number)


def current(database: Database, number: int = 1) -> Attempt[EdgePackagingJob]:
    found = attempt(database, number)
    found.refresh()
    return found


def begin_next(database: Database, *, after: str = "first", workflow_id: str = "second") -> EdgePackagingJob | None:
    with database.write() as connection:
        return edge_packaging_jobs.begin_attempt(
            connection, after=after, workflow_id=workflow_id, died=True, statuses=ACTIVE
        )


def status(database: Database) -> tuple[str | None, int]:
    with database.read() as connection:
        return edge_packaging_jobs.ownership(connection, 1)


def set_status(database: Database, value: str) -> None:
    with database.write() as connection:
        edge_packaging_jobs.change(connection, 1, expected=ACTIVE, status=value)


def test_the_current_attempt_moves_its_job_to_the_end(database: Database) -> None:
    mine = current(database)
    mine.advance(status_message="at work")
    assert (mine.job.status, mine.job.status_message, mine.job.modified_at) == ("INPROGRESS", "at work", NOW)
    mine.change(to="COMPLETED")
    assert status(database) == ("COMPLETED", 1)


def test_an_attempt_begins_after_each_workflow_once(database: Database) -> None:
    job = begin_next(database)
    assert job is not None
    assert (job.attempt, job.deaths, job.workflow_id) == (2, 1, "second")
    assert begin_next(database) is None
    assert begin_next(database, workflow_id="third") is None
    assert begin_next(database, after="second", workflow_id="third") is not None


def test_no_attempt_begins_at_a_job_that_has_ended(database: Database) -> None:
    set_status(database, "STOPPED")
    assert begin_next(database) is None


def test_a_former_attempt_may_do_nothing(database: Database) -> None:
    former = current(database)
    former.advance()
    begin_next(database)
    for write in (
        former.refresh,
        former.require_running,
        former.advance,
        lambda: former.change(to="COMPLETED"),
        lambda: former.change(to="FAILED"),
        lambda: former.note_upload(TARGET, "upload"),
        lambda: former.transaction().__enter__(),
    ):
        with pytest.raises(JobSupersededError):
            write()
    assert status(database) == ("INPROGRESS", 2)
    assert former.noted_uploads() == []


@pytest.mark.parametrize("ended", ["COMPLETED", "FAILED", "STOPPED"])
def test_an_attempt_at_a_job_that_has_ended_may_do_nothing(database: Database, ended: str) -> None:
    late = current(database)
    set_status(database, ended)
    for write in (late.refresh, late.require_running, late.advance, lambda: late.change(to="FAILED")):
        with pytest.raises(JobSupersededError):
            write()
    assert status(database) == (ended, 1)


def test_an_attempt_at_a_job_that_is_not_there_may_do_nothing(database: Database) -> None:
    with pytest.raises(JobSupersededError):
        Attempt(database, edge_packaging_jobs, lambda: NOW, job_id=2, number=1).refresh()


def test_stop_comes_before_everything_but_the_end(database: Database) -> None:
    mine = current(database)
    mine.advance()
    set_status(database, "STOPPING")
    for write in (mine.require_running, mine.advance, lambda: mine.change(to="COMPLETED")):
        with pytest.raises(JobStoppedError):
            write()
    mine.change(to="STOPPED")
    assert status(database) == ("STOPPED", 1)


def test_an_attempt_knows_its_own_uploads_and_those_before_it(database: Database) -> None:
    first = current(database)
    first.note_upload(TARGET, "one")
    begin_next(database)
    second = current(database, 2)
    second.note_upload(TARGET, "two")
    assert [upload.upload_id for upload in first.noted_uploads()] == ["one"]
    assert sorted(upload.upload_id for upload in second.noted_uploads()) == ["one", "two"]
    second.forget_upload("one")
    assert [upload.upload_id for upload in second.noted_uploads()] == ["two"]


def test_marks_tell_attempts_and_jobs_of_one_name_apart(database: Database) -> None:
    first = current(database).mark
    begin_next(database)
    second = current(database, 2).mark
    assert first != second
    assert first.is_same_job(second)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE edge_packaging_jobs SET created_at = 1")
    assert not first.is_same_job(current(database, 2).mark)
    assert not first.is_same_job(None)
