"""A worker that is told to stop: it begins no other job, and what is under way is finished or handed over."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from driving import compiled, create_packaging, describe_packaging
from edgepack.database.engine import Database
from edgepack.database.schema import edge_packaging_jobs
from harness import RunningServer, start_server, wait_for, wait_until_told, worker_beside
from models import compiled_archive
from s3_proxy import Request, S3Proxy, proxied

pytestmark = pytest.mark.server


class Gate:
    """Holds back the request that completes a package, until it is opened."""

    def __init__(self, proxy: S3Proxy) -> None:
        self.arrived, self.open = threading.Event(), threading.Event()
        proxy.rule = self

    def __call__(self, request: Request) -> None:
        if request.path.startswith("/models/packaged/") and request.method in {"PUT", "POST"}:
            self.arrived.set()
            self.open.wait(60)


@pytest.fixture
def server(tmp_path: Path, server_database: str | None) -> Iterator[RunningServer]:
    running = start_server(tmp_path / "data", "--workers", "0", database=server_database)
    yield running
    running.stop()


@contextlib.contextmanager
def held_up(server: RunningServer, proxy: S3Proxy) -> Iterator[None]:
    """The job `under-way` waits at a gate for the time of the block, and whatever that does, not after it."""
    compiled(server, "source", compiled_archive())
    gate = Gate(proxy)
    try:
        create_packaging(server, "under-way", "source")
        assert gate.arrived.wait(60)
        yield
    finally:
        gate.open.set()


def attempts_and_deaths(server: RunningServer, name: str) -> tuple[int, int]:
    database = Database(server.settings.get("EDGEPACK_DATABASE") or f"sqlite:///{server.data / 'edgepack.db'}")
    row = edge_packaging_jobs.c
    try:
        with database.read() as connection:
            found = connection.execute(sa.select(row.attempt, row.deaths).where(row.name == name)).one()
    finally:
        database.close()
    return found[0], found[1]


def test_a_job_that_ends_soon_is_finished_by_the_worker_that_stops(server: RunningServer, tmp_path: Path) -> None:
    with proxied(server.environment["AWS_ENDPOINT_URL_S3"]) as proxy:
        with worker_beside(server, tmp_path / "log", "--drain-seconds", "60", store=proxy.endpoint) as worker:
            with held_up(server, proxy):
                worker.terminate()
                create_packaging(server, "next", "source")
            found = wait_for(lambda: describe_packaging(server, "under-way"), "EdgePackagingJobStatus")
            assert worker.wait(30) == 0
        assert found["EdgePackagingJobStatus"] == "COMPLETED", found
        assert attempts_and_deaths(server, "under-way") == (1, 0)
        assert describe_packaging(server, "next")["EdgePackagingJobStatus"] == "STARTING"


@pytest.mark.parametrize(("drain_seconds", "signals"), [("0", 1), ("60", 2)], ids=["without a drain", "told twice"])
def test_a_job_that_does_not_end_soon_is_handed_over(
    server: RunningServer, tmp_path: Path, drain_seconds: str, signals: int
) -> None:
    with proxied(server.environment["AWS_ENDPOINT_URL_S3"]) as proxy:
        with (
            worker_beside(server, tmp_path / "log", "--drain-seconds", drain_seconds, store=proxy.endpoint) as worker,
            held_up(server, proxy),
        ):
            worker.terminate()
            if signals > 1:
                wait_until_told(tmp_path / "log", "jobs that are under way may go on")
                worker.send_signal(signal.SIGINT)
            assert worker.wait(30) == 0
        with worker_beside(server, tmp_path / "log"):
            found = wait_for(lambda: describe_packaging(server, "under-way"), "EdgePackagingJobStatus")
        assert found["EdgePackagingJobStatus"] == "COMPLETED", found
        assert attempts_and_deaths(server, "under-way") == (2, 0)
