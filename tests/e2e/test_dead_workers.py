"""Workers that die in the middle of a job, whatever they were doing: others finish it and clear up behind them."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from chaos.crew import Crew
from driving import (
    BUCKET,
    compiled,
    create_compilation,
    create_packaging,
    describe_compilation,
    describe_packaging,
    put,
)
from edgepack.database.engine import Database
from edgepack.settings import load_settings
from harness import RunningServer, start_server, wait_for, worker_beside
from models import onnx_archive, tar_gz
from pg_proxy import proxied_postgres
from postgres import PostgresServer, running_postgres
from s3_proxy import Request, S3Proxy, proxied

pytestmark = pytest.mark.server

LARGE = tar_gz({"compiled.params": os.urandom(24 << 20)}, level=0)

AWAY_SECONDS = 9.0
"""Longer than the silence after which a worker is taken for dead."""

WAITS = """
import time
class Waits:
    name, frameworks, copies_archive = "waits", frozenset(), False
    def refuses(self, request):
        return None if request.compiler_options.get("compiler") == self.name else "not asked for"
    def compile(self, model_dir, output_dir, request):
        time.sleep(600)
"""


@pytest.fixture
def waiting_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that never ends, installed as another distribution would install it."""
    site = tmp_path / "site"
    metadata = site / "waits-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: waits\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[edgepack.compilers]\nwaits = waits:Waits\n")
    (site / "waits.py").write_text(WAITS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What a condition is once it is something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def row(server: RunningServer, name: str, table: str = "edge_packaging_jobs") -> tuple[int, int]:
    """A job's attempt, and how many workers have died on it."""
    settings = load_settings({"data": str(server.data)}, environ=server.settings, folder=server.data)
    database = Database(settings.database_url)
    try:
        with database.read() as connection:
            found = connection.exec_driver_sql(f"SELECT attempt, deaths FROM {table} WHERE name = '{name}'").one()
            return found[0], found[1]
    finally:
        database.close()


def compilers_of(pid: int) -> list[psutil.Process]:
    """The compilers' processes that a worker has started."""
    try:
        return [child for child in psutil.Process(pid).children() if "edgepack.compilers.isolated" in child.cmdline()]
    except psutil.Error:  # one of them has just ended
        return []


def test_a_killed_group_s_compiler_goes_and_its_folder_too(
    tmp_path: Path, server_database: str | None, waiting_compiler: None
) -> None:
    server = start_server(tmp_path / "data", "--workers", "0", database=server_database)
    scratch, crew = server.data / "scratch", None
    try:
        crew = Crew(server, [server.environment["AWS_ENDPOINT_URL_S3"]], tmp_path / "workers.log")
        uri = put(server, "in/model.tar.gz", onnx_archive())
        output = {
            "S3OutputLocation": f"s3://{BUCKET}/compiled/waiting",
            "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"},
            "CompilerOptions": '{"compiler": "waits"}',
        }
        create_compilation(server, "waiting", uri, OutputConfig=output)
        (hand,) = crew.hands
        (compiler,) = until(lambda: compilers_of(hand.pid))
        (folder,) = until(lambda: list(scratch.iterdir()))
        assert list(folder.glob("*/model/model.onnx"))
        hand.send_to_group(signal.SIGKILL)
        until(lambda: not hand.lives and not compiler.is_running())
        crew.replace_dead()
        until(lambda: compilers_of(crew.hands[0].pid))
        assert row(server, "waiting", "compilation_jobs") == (2, 1)
        assert not folder.exists()
        assert len(list(scratch.iterdir())) == 1
        server.client("sagemaker").stop_compilation_job(CompilationJobName="waiting")
        found = wait_for(lambda: describe_compilation(server, "waiting"), "CompilationJobStatus")
        assert found["CompilationJobStatus"] == "STOPPED"
        assert crew.stop() == [0]
        assert list(scratch.iterdir()) == []
    finally:
        if crew is not None:
            crew.kill()
        server.stop()


class Held:
    """Holds a job in the middle: its first part is answered when it is released."""

    def __init__(self, proxy: S3Proxy) -> None:
        self.arrived = self.released = False
        proxy.rule = self

    def __call__(self, request: Request) -> None:
        if request.method == "PUT" and "partNumber" in request.query and "packaged" in request.path:
            self.arrived = True
            until(lambda: self.released)


def finished(server: RunningServer, name: str) -> None:
    """The job completes, by its first attempt, and nobody is said to have died."""
    found = wait_for(lambda: describe_packaging(server, name), "EdgePackagingJobStatus")
    assert found["EdgePackagingJobStatus"] == "COMPLETED", found
    assert row(server, name) == (1, 0)
    assert server.client("s3").list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []


def cut_connections(postgres: PostgresServer) -> None:
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'edgepack_%'")


def go_away(postgres: PostgresServer) -> None:
    postgres.stop("immediate")
    time.sleep(AWAY_SECONDS)
    postgres.start()


@pytest.mark.parametrize(
    "disturb", [cut_connections, PostgresServer.crash_and_restart, go_away], ids=["cut", "restarted", "long away"]
)
def test_a_job_goes_on_when_its_database_comes_back(tmp_path: Path, disturb: Callable[[PostgresServer], None]) -> None:
    """And no living worker is taken for dead for a silence that was the database's own."""
    with running_postgres() as postgres:
        server = start_server(tmp_path / "data", "--workers", "0", database=postgres.new_database())
        try:
            with (
                proxied(server.environment["AWS_ENDPOINT_URL_S3"]) as proxy,
                worker_beside(server, tmp_path / "runs.log", store=proxy.endpoint),
            ):
                compiled(server, "source", LARGE)
                held = Held(proxy)
                create_packaging(server, "disturbed", "source")
                until(lambda: held.arrived)
                with worker_beside(server, tmp_path / "idle.log"):
                    until(lambda: "runs jobs" in (tmp_path / "idle.log").read_text())
                    disturb(postgres)
                    time.sleep(3)  # for the idle one to judge
                    held.released = True
                    finished(server, "disturbed")
        finally:
            server.stop()


def test_a_worker_ends_when_it_is_told_to_although_the_database_is_away(tmp_path: Path) -> None:
    with running_postgres() as postgres:
        server = start_server(tmp_path / "data", "--workers", "0", database=postgres.new_database())
        log, crew = tmp_path / "workers.log", None
        try:
            crew = Crew(server, [server.environment["AWS_ENDPOINT_URL_S3"]], log)
            until(lambda: "runs jobs" in log.read_text())
            postgres.stop("immediate")
            until(lambda: "heartbeat failed" in log.read_text())
            assert crew.stop() == [0]
            assert "ended without notice" in log.read_text()
        finally:
            if crew is not None:
                crew.kill()
            postgres.start()
            server.stop()


class LostClaim:
    """Loses the answer to the first commit by which the engine gives a worker a job."""

    def __init__(self) -> None:
        self.lost = False

    def __call__(self, data: bytes, notes: dict[str, bool]) -> bool:
        if b"workflow_deadline_epoch_ms=CASE" in data:
            notes["claims"] = True
        elif notes.get("claims") and b"COMMIT" in data and not self.lost:
            self.lost = True
            return True
        return False


def test_a_job_that_was_given_to_a_worker_unheard_is_begun_all_the_same(tmp_path: Path) -> None:
    """The worker lives, and knows nothing of it."""
    with running_postgres() as postgres, proxied_postgres(postgres.port) as proxy:
        url = postgres.new_database()
        server = start_server(tmp_path / "data", "--workers", "0", database=url)
        try:
            put(server, "in/model.tar.gz", LARGE)
            create_compilation(server, "unheard", f"s3://{BUCKET}/in/model.tar.gz")
            claim = LostClaim()
            proxy.rule = claim
            behind = replace(server, settings={"EDGEPACK_DATABASE": url.replace(str(postgres.port), str(proxy.port))})
            with worker_beside(behind, tmp_path / "worker.log"):
                found = wait_for(lambda: describe_compilation(server, "unheard"), "CompilationJobStatus")
            assert claim.lost
            assert found["CompilationJobStatus"] == "COMPLETED", found
            assert row(server, "unheard", "compilation_jobs") == (2, 0)
        finally:
            server.stop()
