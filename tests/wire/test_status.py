"""`/readyz` and `/metrics` through the real server: for anybody, at no cost, and silent about everything private."""

import asyncio
import http.client
import json
import logging
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from edgepack.database.engine import DatabaseUnavailableError
from edgepack.service.operations import Operations
from edgepack.telemetry.context import note
from edgepack.telemetry.metrics import CONTENT_TYPE, render
from edgepack.telemetry.observers import RequestOutcome
from edgepack.telemetry.readiness import NotReadyError, Readiness
from edgepack.telemetry.request_metrics import RequestMetrics
from edgepack.wire.server import ApiServer
from edgepack.wire.status import Metrics, Shared, StatusApp, StatusPages
from edgepack.wire.threads import Threads
from wire.api import LONG_TERM, Answer, Api, handler, raising, read_answer, running

NAMED = {"EdgePackagingJobName": "a-job"}
ARN = "arn:aws:sagemaker:us-east-1:000000000000:edge-packaging-job/a-job"
READYZ = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
OPERATIONS: Operations = {
    "DescribeEdgePackagingJob": handler(lambda _caller, _request: None, inline=True),
    "StopEdgePackagingJob": raising(DatabaseUnavailableError("down")),
    "CreateEdgePackagingJob": handler(lambda _caller, _request: note(workflow_id="w-1")),
    "ListTags": raising(ZeroDivisionError("a\nb")),
}


class Switch:
    """A check that says what it is told, and counts."""

    def __init__(self) -> None:
        self.reason = ""
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.reason:
            raise NotReadyError(self.reason)


def test_readiness_is_told_to_anybody() -> None:
    switch = Switch()
    with running(OPERATIONS, status=StatusPages(Readiness({"database": switch}))) as api:
        for raw in (
            READYZ,
            b"GET /readyz HTTP/1.1\r\n\r\n",
            b"GET /readyz HTTP/1.0\r\n\r\n",
        ):  # as /healthz, without a Host header, too
            answer = api.send(raw)
            assert (answer.status, answer.json) == (200, {"status": "ready", "checks": {"database": "ok"}})
        assert answer.headers["cache-control"] == "no-store"
        assert api.lookups == []


def test_what_is_missing_is_answered_with_503() -> None:
    switch = Switch()
    switch.reason = "does not answer"
    with running(OPERATIONS, status=StatusPages(Readiness({"database": switch}))) as api:
        answer = api.send(READYZ)
        assert (answer.status, answer.json) == (
            503,
            {"status": "not ready", "checks": {"database": "does not answer"}},
        )
        with api.connect() as connection:
            connection.sendall(b"HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 503 ")
        assert api.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


def test_hundreds_of_probes_at_once_make_one_check() -> None:
    entered, go_on = threading.Event(), threading.Event()
    calls = []

    def check() -> None:
        calls.append(1)
        entered.set()
        assert go_on.wait(30)

    with running(OPERATIONS, status=StatusPages(Readiness({"slow": check}))) as api:
        connections = [api.connect() for _ in range(500)]
        for connection in connections:
            connection.sendall(READYZ)
        assert entered.wait(10)
        assert api.call("DescribeEdgePackagingJob", NAMED).status == 200  # the event loop turns
        go_on.set()
        assert [read_answer(connection).status for connection in connections] == [200] * 500
        for connection in connections:
            connection.close()
    assert len(calls) == 1


def test_one_who_goes_away_does_not_take_the_answer_from_the_others() -> None:
    go_on = threading.Event()
    threads = Threads("tests", count=1)

    async def ask() -> bool:
        shared = Shared(threads, lambda: go_on.wait(30))
        goes, stays = asyncio.create_task(shared.value()), asyncio.create_task(shared.value())
        await asyncio.sleep(0)
        goes.cancel()
        await asyncio.sleep(0)
        go_on.set()
        return await stays

    try:
        assert asyncio.run(ask())
    finally:
        threads.close()


def test_only_get_and_head() -> None:
    with running(OPERATIONS) as api:
        assert api.send(b"POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").status != 200


def test_without_metrics_the_path_is_unknown() -> None:
    with running(OPERATIONS) as api:
        unknown = api.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = api.send(METRICS)
    assert (answer.status, answer.code) == (unknown.status, unknown.code)
    assert answer.status in {403, 404}


@contextmanager
def metered(render_text: Callable[[CollectorRegistry], bytes] = render) -> Iterator[Api]:
    registry = CollectorRegistry()
    observer = RequestMetrics(registry, OPERATIONS, connections=lambda: 3)
    pages = StatusPages(Readiness({}), Metrics(lambda: render_text(registry), CONTENT_TYPE))
    with running(OPERATIONS, status=pages, observers=[observer]) as api:
        yield api


def samples(answer: Answer) -> dict[tuple[str, ...], float]:
    """Values by the sample's name and its labels' values."""
    families = text_string_to_metric_families(answer.body.decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_are_counted_by_operation_and_outcome() -> None:
    with metered() as api:
        for _ in range(3):
            api.call("DescribeEdgePackagingJob", NAMED)
        api.call("DescribeEdgePackagingJob", {"EdgePackagingJobName": "-"})
        api.call("StopEdgePackagingJob", NAMED)
        api.call("DescribeEdgePackagingJob", NAMED, secret="wrong")
        for number in range(20):
            api.call(f"Invented{number}", NAMED)
        answer = api.send(METRICS)
    assert answer.headers["content-type"] == CONTENT_TYPE.decode()
    found = samples(answer)
    counted = {key[1:]: value for key, value in found.items() if key[0] == "edgepack_requests_total" and value}
    assert counted == {
        ("OK", "DescribeEdgePackagingJob"): 3,
        ("ServiceUnavailable", "StopEdgePackagingJob"): 1,
        ("ValidationException", "none"): 1,
        ("InvalidSignatureException", "none"): 1,
        ("UnknownOperationException", "none"): 20,
    }
    count = "edgepack_request_duration_seconds_count"
    assert (found[count, "DescribeEdgePackagingJob"], found[count, "none"]) == (3, 22)
    assert found["edgepack_request_duration_seconds_bucket", "+Inf", "none"] == 22
    assert found["edgepack_requests_in_flight",] == 0
    assert found["edgepack_connections",] == 3


def test_an_operation_that_is_not_served_makes_no_series() -> None:
    registry = CollectorRegistry()
    RequestMetrics(registry, OPERATIONS, connections=lambda: 0).ended(
        RequestOutcome("Invented", "OK", 200, 0.1, 1, {}, None)
    )
    assert registry.get_sample_value("edgepack_requests_total", {"operation": "none", "code": "OK"}) == 1
    assert "Invented" not in render(registry).decode()


def test_a_sender_that_goes_away_is_no_longer_in_flight() -> None:
    with metered() as api:
        request = api.request(target="SageMaker.DescribeEdgePackagingJob", body=json.dumps(NAMED).encode())
        with api.connect() as connection:
            connection.sendall(request[:-1])
        deadline = time.monotonic() + 10
        while ("edgepack_requests_total", "ClientDisconnected", "none") not in (found := samples(api.send(METRICS))):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert found["edgepack_requests_in_flight",] == 0


def test_scrapers_at_once_cost_one_rendering() -> None:
    calls = []

    def render_slowly(_registry: CollectorRegistry) -> bytes:
        calls.append(1)
        time.sleep(0.2)
        return b"# nothing\n"

    with metered(render_slowly) as api, ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda _: api.send(METRICS), range(30)))
    assert {answer.body for answer in answers} == {b"# nothing\n"}
    assert len(calls) == 1


class Told:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.begun = 0
        self.outcomes: list[RequestOutcome] = []

    def began(self) -> None:
        self.begun += 1

    def ended(self, outcome: RequestOutcome) -> None:
        self.outcomes.append(outcome)


def test_observers_are_told_of_each_request() -> None:
    told = Told()
    with running(OPERATIONS, observers=[told]) as api:
        created = {
            **NAMED,
            "CompilationJobName": "c",
            "ModelName": "m",
            "ModelVersion": "1",
            "RoleArn": "arn:aws:iam::000000000000:role/r",
            "OutputConfig": {"S3OutputLocation": "s3://b/o"},
        }
        headers = {"Content-Type": "application/x-amz-json-1.1", "traceparent": "00-1-2-3"}
        answer = api.call("CreateEdgePackagingJob", created, headers=headers)
        assert answer.status == 200, answer.body
        api.call("StopEdgePackagingJob", NAMED)
    assert told.begun == 2
    first, second = told.outcomes
    assert (first.operation, first.code, first.status, first.traceparent) == (
        "CreateEdgePackagingJob",
        "OK",
        200,
        b"00-1-2-3",
    )
    assert first.fields == {
        "request_id": answer.headers["x-amzn-requestid"],
        "operation": "CreateEdgePackagingJob",
        "account_id": LONG_TERM.account_id,
        "job_arn": ARN,
        "workflow_id": "w-1",  # noted by the handler, in its thread
    }
    assert (second.code, second.status) == ("ServiceUnavailable", 503)


class Broken(Told):
    """An observer that fails."""

    def ended(self, outcome: RequestOutcome) -> None:
        raise ZeroDivisionError


def test_an_observer_that_fails_holds_up_neither_the_answer_nor_the_others() -> None:
    told = Told()
    with running(OPERATIONS, observers=[Broken(), told]) as api:
        assert api.call("DescribeEdgePackagingJob", NAMED).status == 200
    assert len(told.outcomes) == 1


def test_a_request_is_a_line_at_debug_level_and_a_failure_of_ours_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "edgepack"), running(OPERATIONS) as api:
        api.call("DescribeEdgePackagingJob", NAMED)
        api.call("StopEdgePackagingJob", NAMED)
    lines = [record for record in caplog.records if record.name == "edgepack.wire.recording"]
    assert [record.levelno for record in lines] == [logging.DEBUG, logging.WARNING]
    assert re.fullmatch(r"200 OK in [\d.]+ ms", lines[0].getMessage())
    assert re.fullmatch(r"503 ServiceUnavailable in [\d.]+ ms", lines[1].getMessage())


def test_at_info_level_requests_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "edgepack"), running(OPERATIONS) as api:
        api.call("DescribeEdgePackagingJob", NAMED)
    assert not [record for record in caplog.records if record.name == "edgepack.wire.recording"]


def test_a_worker_s_listener_has_the_pages_and_nothing_else() -> None:
    pages = StatusPages(Readiness({}), Metrics(lambda: b"# nothing\n", CONTENT_TYPE))
    server = ApiServer(StatusApp(pages), host="127.0.0.1", port=0)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=[lambda _: ready.set()])
    thread.start()
    try:
        assert ready.wait(10)
        api = Api(server.port)
        assert api.send(READYZ).json == {"status": "ready", "checks": {}}
        assert api.send(METRICS).body == b"# nothing\n"
        assert api.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").json == {"status": "ok"}
        for raw in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"DELETE /readyz HTTP/1.1\r\nHost: x\r\n\r\n"):
            assert api.send(raw).status == 404
    finally:
        server.stop()
        thread.join()
        pages.close()


SERVER = """
import sys
from edgepack.telemetry.readiness import Readiness
from edgepack.wire.server import ApiServer
from edgepack.wire.status import StatusApp, StatusPages
readiness = Readiness({})
app = StatusApp(StatusPages(readiness))
server = ApiServer(app, host="127.0.0.1", port=0, on_stop=readiness.drain, delay=float(sys.argv[1]))
server.run(lambda port: print(port, flush=True))
"""


@contextmanager
def process(delay: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    with subprocess.Popen([sys.executable, "-c", SERVER, delay], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server, int(server.stdout.readline())
        finally:
            server.kill()


def status_of(port: int) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())["status"]


def test_after_sigterm_it_serves_on_and_says_no_until_the_delay_is_over() -> None:
    with process("1.5") as (server, port):
        assert status_of(port) == (200, "ready")
        server.send_signal(signal.SIGTERM)
        told_at = time.monotonic()
        while (status := status_of(port)) == (200, "ready"):  # the signal is on its way
            assert time.monotonic() < told_at + 10
        assert status == (503, "draining")
        assert server.wait(30) == 0
        assert time.monotonic() - told_at >= 1.4
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_delay(second: signal.Signals) -> None:
    with process("300") as (server, port):
        server.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while status_of(port)[0] == 200:
            assert time.monotonic() < deadline
        server.send_signal(second)
        assert server.wait(30) == 0
