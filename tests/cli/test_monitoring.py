"""What an operator sees of real processes: readiness, metrics, traces and the log, with no secret in any of them."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families

from driving import (
    compiled,
    create_compilation,
    create_packaging,
    describe_compilation,
    describe_packaging,
    packaged,
    put,
)
from edgepack.cli.monitoring import Monitoring
from edgepack.database.engine import Database
from edgepack.settings import Settings, load_settings
from edgepack.wire.server import ListenError
from harness import EDGEPACK, ROLE, RunningServer, start_server, wait_for, worker_beside
from models import tar_gz
from otlp import Collector, attributes, collecting
from postgres import PostgresServer, running_postgres
from s3_proxy import Request, proxied

pytestmark = pytest.mark.server

PASSWORD = "a-database-password"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECONDS = 60.0


def get(endpoint: str, path: str) -> tuple[int, str]:
    """Status and body of a page."""
    host, _, port = endpoint.removeprefix("http://").partition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def api_of(server: RunningServer) -> str:
    return server.environment["AWS_ENDPOINT_URL_SAGEMAKER"]


def readiness(endpoint: str) -> tuple[int, dict[str, Any]]:
    status, body = get(endpoint, "/readyz")
    return status, json.loads(body)


def wait_until_ready(endpoint: str, *, ready: bool = True) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while ((found := readiness(endpoint))[0] == 200) != ready:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found[1]


def status_endpoint(log: Path) -> str:
    """Where a worker says that its status is."""
    deadline = time.monotonic() + SECONDS
    while (found := re.search(r"status at (http://[0-9.:]+)", log.read_text())) is None:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return found[1]


def metric(text: str, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(text)
    samples = (sample for family in families for sample in family.samples)
    return next(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())


@pytest.fixture(scope="module")
def postgres_of_its_own() -> Iterator[PostgresServer]:
    with running_postgres() as running:
        yield running


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def watched(
    postgres_of_its_own: PostgresServer, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server of which everything is told, as loudly as it can be."""
    database = postgres_of_its_own.new_database().replace("postgres@", f"postgres:{PASSWORD}@")
    flags = ("--workers", "1", "--metrics", "--log-format", "json", "--log-level", "debug")
    folder = tmp_path_factory.mktemp("watched")
    running = start_server(folder / "data", *flags, "--otlp-endpoint", collector.endpoint, database=database)
    yield running
    running.stop()


def events_of(server: RunningServer) -> list[dict[str, Any]]:
    """All that a server and its workers have logged; every line of it is an object."""
    log = server.data.with_name(f"{server.data.name}.log").read_text()
    return [json.loads(line) for line in log.splitlines()]


def create_with_trace(server: RunningServer, name: str, compilation: str) -> None:
    """Create a packaging job as a traced client does."""
    client = server.client("sagemaker", user_agent_extra="traced")
    client.meta.events.register(
        "before-sign.sagemaker.*",
        lambda request, **_: request.headers.add_header("traceparent", f"00-{TRACE}-{CALLER}-01"),
    )
    client.create_edge_packaging_job(
        EdgePackagingJobName=name,
        CompilationJobName=compilation,
        ModelName=name,
        ModelVersion="1.0",
        RoleArn=ROLE,
        OutputConfig={"S3OutputLocation": "s3://models/packaged"},
    )


def test_a_traced_client_finds_the_job_that_its_request_made(watched: RunningServer, collector: Collector) -> None:
    compiled(watched, "traced-source")
    create_with_trace(watched, "traced", "traced-source")
    found = wait_for(lambda: describe_packaging(watched, "traced"), "EdgePackagingJobStatus")
    arn = found["EdgePackagingJobArn"]

    def of_job(span: Span) -> bool:
        return bool(attributes(span).get("edgepack.job.arn") == arn)

    (whole,) = collector.wait_for(lambda span: of_job(span) and span.name == "edge_packaging attempt")
    (create,) = collector.wait_for(lambda span: of_job(span) and span.name == "CreateEdgePackagingJob")
    assert (create.trace_id.hex(), create.parent_span_id.hex()) == (TRACE, CALLER)
    assert [(link.trace_id, link.span_id) for link in create.links] == [(whole.trace_id, whole.span_id)]
    steps = [span for span in collector.spans if span.parent_span_id == whole.span_id]
    assert [span.name for span in steps] == ["package", "check", "publish", "complete"]
    assert all(span.trace_id == whole.trace_id for span in steps)
    assert attributes(whole)["edgepack.job.status"] == "COMPLETED"
    assert {resource["edgepack.process"] for resource in collector.resources} == {"serve", "worker"}


def test_the_log_names_the_job_and_the_request_and_no_secret(watched: RunningServer, collector: Collector) -> None:
    forged = 'x\n{"time": "2026-01-01", "level": "info", "message": "all is well"}'
    create_compilation(watched, "bad", put(watched, "in/bad.tar.gz", tar_gz({forged: b"1"})))
    found = wait_for(lambda: describe_compilation(watched, "bad"), "CompilationJobStatus")
    assert found["CompilationJobStatus"] == "FAILED"
    with pytest.raises(ClientError):
        create_packaging(watched, "refused", forged)
    role = watched.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="session")["Credentials"]
    session = boto3.Session(role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"], region_name="us-east-1")
    session.client("sagemaker", endpoint_url=api_of(watched)).list_edge_packaging_jobs()

    arn = found["CompilationJobArn"]
    deadline = time.monotonic() + SECONDS
    while len(told := [e for e in events_of(watched) if e.get("job_arn") == arn and "attempt" in e]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert told[0]["message"].startswith("failed: The member ")
    assert told[1]["message"].startswith("FAILED after ")
    assert all(event["process"] == "worker" and event["executor_id"] and event["attempt"] == 1 for event in told)
    requests = [event for event in events_of(watched) if event.get("operation") == "CreateEdgePackagingJob"]
    assert all(event["request_id"] and event["account_id"] == "000000000000" for event in requests)
    assert not [event for event in events_of(watched) if event["message"] == "all is well"]

    secrets = [watched.environment["AWS_SECRET_ACCESS_KEY"], PASSWORD, role["SecretAccessKey"], role["SessionToken"]]
    for path in (watched.data / "keys").rglob("*"):
        if path.is_file() and b"CERTIFICATE" not in (content := path.read_bytes()):
            secrets += [line for line in content.decode("latin-1").splitlines() if len(line) > 20 and "--" not in line]
    assert len(secrets) > 4
    written = watched.data.with_name(f"{watched.data.name}.log").read_text()
    shown = [*(get(api_of(watched), path)[1] for path in ("/readyz", "/metrics")), *map(str, collector.spans)]
    for secret in secrets:
        assert secret not in written
        assert not any(secret in each for each in shown)


def test_metrics_tell_of_requests_and_of_what_waits(watched: RunningServer) -> None:
    status, text = get(api_of(watched), "/metrics")
    assert status == 200
    deadline = time.monotonic() + SECONDS
    while metric(text, "edgepack_workers_alive") != 1:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        text = get(api_of(watched), "/metrics")[1]
    assert metric(text, "edgepack_database_up") == 1
    assert metric(text, "edgepack_queue_depth", kind="edge_packaging") == 0
    assert metric(text, "edgepack_jobs", kind="compilation", status="STARTING") == 0
    assert metric(text, "edgepack_requests_total", operation="ListTags", code="OK") == 0
    assert metric(text, "process_resident_memory_bytes") > 0
    assert "edgepack_build_info" in text


def test_a_database_that_goes_and_comes_back(watched: RunningServer, postgres_of_its_own: PostgresServer) -> None:
    endpoint = api_of(watched)
    assert wait_until_ready(endpoint)["checks"] == {"database": "ok", "schema": "ok", "object_store": "ok"}
    postgres_of_its_own.stop()
    try:
        checks = wait_until_ready(endpoint, ready=False)["checks"]
        assert checks == {"database": "does not answer", "schema": "not known", "object_store": "ok"}
        assert get(endpoint, "/healthz")[0] == 200
        deadline = time.monotonic() + SECONDS
        while metric(text := get(endpoint, "/metrics")[1], "edgepack_database_up") != 0:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert not re.search(r"^edgepack_queue_depth\{", text, re.MULTILINE)
        assert re.search(r"^edgepack_requests_total\{", text, re.MULTILINE)
    finally:
        postgres_of_its_own.start()
    wait_until_ready(endpoint)


def test_a_worker_tells_of_its_jobs(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", "--workers", "0")
    log = tmp_path / "worker.log"
    try:
        assert get(api_of(server), "/metrics")[0] != 200
        with worker_beside(server, log, "--status-port", "0", "--metrics") as worker:
            endpoint = status_endpoint(log)
            assert wait_until_ready(endpoint)["checks"] == {"database": "ok", "engine": "ok", "heartbeat": "ok"}
            compiled(server, "source")
            found = packaged(server, "package", "source")
            text = wait_for_metric(endpoint, "edgepack_jobs_ended_total", kind="edge_packaging", status="COMPLETED")
            size = server.client("s3").head_object(Bucket="models", Key="packaged/package-1.0.tar.gz")["ContentLength"]
            assert metric(text, "edgepack_job_written_bytes_total", kind="edge_packaging") == size
            assert metric(text, "edgepack_job_read_bytes_total", kind="edge_packaging") > 0
            for step in ("package", "check", "publish", "complete"):
                name = "edgepack_job_step_duration_seconds_count"
                assert metric(text, name, kind="edge_packaging", step=step) == 1
            assert metric(text, "edgepack_jobs_running", kind="edge_packaging") == 0
            arn = found["EdgePackagingJobArn"]
            assert re.search(rf" worker INFO \S+ \[job={arn} attempt=1\]: COMPLETED after [\d.]+ s\n", log.read_text())
            needs_schema(server)
            worker.terminate()
            assert worker.wait(30) == 0
    finally:
        server.stop()


def test_a_worker_that_ends_its_last_job_is_not_ready(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", "--workers", "0")
    arrived, go_on = threading.Event(), threading.Event()

    def hold(request: Request) -> None:
        if request.path.startswith("/models/packaged/") and request.method in {"PUT", "POST"}:
            arrived.set()
            assert go_on.wait(60)

    flags = ("--status-port", "0", "--drain-seconds", "60")
    try:
        with (
            proxied(server.environment["AWS_ENDPOINT_URL_S3"]) as proxy,
            worker_beside(server, tmp_path / "log", *flags, store=proxy.endpoint) as worker,
        ):
            endpoint = status_endpoint(tmp_path / "log")
            compiled(server, "source")
            proxy.rule = hold
            create_packaging(server, "last", "source")
            assert arrived.wait(60)
            worker.terminate()
            try:
                checks = wait_until_ready(endpoint, ready=False)
                assert (checks["status"], get(endpoint, "/healthz")[0]) == ("draining", 200)
            finally:
                go_on.set()
            assert worker.wait(60) == 0
        assert describe_packaging(server, "last")["EdgePackagingJobStatus"] == "COMPLETED"
    finally:
        server.stop()


def test_several_workers_have_a_port_each(tmp_path: Path) -> None:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
        second.bind(("127.0.0.1", port + 1))
    server = start_server(tmp_path / "data", "--workers", "2", "--status-port", str(port), "--metrics")
    try:
        for number in range(2):
            endpoint = f"http://127.0.0.1:{port + number}"
            deadline = time.monotonic() + SECONDS
            while not accepts(port + number):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            wait_until_ready(endpoint)
            assert metric(get(endpoint, "/metrics")[1], "edgepack_jobs_running", kind="compilation") == 0
    finally:
        server.stop()


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_for_metric(endpoint: str, name: str, **labels: str) -> str:
    """The metrics, once this one is not 0."""
    deadline = time.monotonic() + SECONDS
    while not metric(text := get(endpoint, "/metrics")[1], name, **labels):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return text


def needs_schema(server: RunningServer) -> None:
    """A server whose database is at another schema than its code's says which one it needs."""
    settings = load_settings({"data": str(server.data)}, environ={}, folder=server.data)
    database = Database(settings.database_url)
    try:
        with database.write() as connection:
            needed = connection.execute(sa.text("SELECT version_num FROM edgepack_schema_version")).scalar()
            connection.execute(sa.text("UPDATE edgepack_schema_version SET version_num = '9999'"))
        checks = wait_until_ready(api_of(server), ready=False)["checks"]
        assert checks == {"database": "ok", "schema": f"at 9999, needed is {needed}", "object_store": "ok"}
        with database.write() as connection:
            connection.execute(sa.text("UPDATE edgepack_schema_version SET version_num = :it"), {"it": needed})
        wait_until_ready(api_of(server))
    finally:
        database.close()


def test_a_status_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monitoring = Monitoring(Settings(status_port=taken.getsockname()[1]), process="worker", instance="i")
        with pytest.raises(ListenError) as raised:
            monitoring.listen({})
    assert "--status-port" in raised.value.diagnostics()


def without(folder: Path, *packages: str) -> dict[str, str]:
    """An environment in which these packages are not installed."""
    for package in packages:
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("raise ImportError('not installed')\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.parametrize("command", [("serve",), ("worker",), ("worker", "--workers", "2")])
def test_traces_without_the_extra_end_the_start_with_its_name(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [*EDGEPACK, *command, "--data", str(tmp_path / "data"), "--otlp-endpoint", "http://127.0.0.1:4318"],
        env=without(tmp_path / "missing", "opentelemetry"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "pip install 'edgepack[otel]'" in done.stderr.splitlines()[-1]


IMPORTED = """
import sys
import edgepack.cli.serve, edgepack.cli.worker, edgepack.jobs.worker, edgepack.service.registry, edgepack.wire.server
from edgepack.cli.monitoring import Monitoring
from edgepack.settings import Settings
from edgepack.telemetry.readiness import Readiness
monitoring = Monitoring(Settings(), process="serve", instance="i")
monitoring.request_observers([]); monitoring.job_observer(); monitoring.pages(Readiness({}))
"""


def test_what_is_off_is_not_imported(tmp_path: Path) -> None:
    environment = without(tmp_path / "missing", "opentelemetry", "prometheus_client")
    subprocess.run([sys.executable, "-c", IMPORTED], env=environment, check=True)
