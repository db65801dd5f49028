"""What one client may cost the server: bytes, time, requests, connections."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from edgepack.service.operations import Operations
from edgepack.wire import connection as connection_limits
from edgepack.wire.app import Limits
from edgepack.wire.connection import MAX_HEAD_BYTES
from edgepack.wire.throttling import Rate
from wire.api import LONG_TERM, SECRET, TEMPORARY, TOKEN, Api, handler, is_closed, read_answer, running

NAMED = {"EdgePackagingJobName": "a-job"}
OPERATIONS: Operations = {
    "StopEdgePackagingJob": handler(lambda _caller, _request: None),
    "DescribeEdgePackagingJob": handler(lambda _caller, _request: None, inline=True),
}
MAX_BODY = 1000
SLOW_SECONDS = 0.3


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with running(OPERATIONS, limits=Limits(max_body_bytes=MAX_BODY)) as started:
        yield started


def padded(size: int) -> bytes:
    return json.dumps(NAMED).encode().ljust(size)


def test_a_body_of_the_largest_size_is_read(api: Api) -> None:
    assert api.call("StopEdgePackagingJob", padded(MAX_BODY)).status == 200


def test_a_larger_body_is_refused_before_it_is_sent(api: Api) -> None:
    head = api.request(target="SageMaker.StopEdgePackagingJob", body=padded(MAX_BODY + 1)).partition(b"\r\n\r\n")[0]
    answer = api.send(head + b"\r\n\r\n")
    assert (answer.status, answer.code) == (413, "RequestEntityTooLargeException")


def test_a_larger_body_in_chunks_is_refused_as_it_arrives(api: Api) -> None:
    body = padded(MAX_BODY + 1)
    head = api.request(target="SageMaker.StopEdgePackagingJob", body=body).partition(b"\r\n\r\n")[0]
    head = head.replace(f"Content-Length: {len(body)}".encode(), b"Transfer-Encoding: chunked")
    answer = api.send(head + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    assert (answer.status, answer.code) == (413, "RequestEntityTooLargeException")


def test_a_body_in_chunks_is_read_whole(api: Api) -> None:
    body = padded(MAX_BODY)
    head = api.request(target="SageMaker.StopEdgePackagingJob", body=body).partition(b"\r\n\r\n")[0]
    head = head.replace(f"Content-Length: {len(body)}".encode(), b"Transfer-Encoding: chunked")
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:10], body[10:]))
    assert api.send(head + b"\r\n\r\n" + pieces + b"0\r\n\r\n").status == 200


def test_a_client_that_goes_away_is_no_trouble(api: Api) -> None:
    request = api.request(target="SageMaker.StopEdgePackagingJob", body=padded(MAX_BODY))
    with api.connect() as connection:
        connection.sendall(request[:-1])
    assert api.call("StopEdgePackagingJob", NAMED).status == 200


def test_a_head_that_is_too_large_is_refused(api: Api) -> None:
    with api.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        connection.sendall(b"X-Filler: " + b"a" * (MAX_HEAD_BYTES + 1))
        assert read_answer(connection).status == 431
        assert is_closed(connection)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A server that does not wait long for a request."""
    monkeypatch.setattr(connection_limits, "REQUEST_SECONDS", SLOW_SECONDS)
    with running(OPERATIONS) as started:
        yield started


def test_a_connection_without_a_request_is_closed(impatient: Api) -> None:
    with impatient.connect() as connection:
        assert is_closed(connection)


@pytest.mark.parametrize("missing", [1, 400, 1000], ids=["last byte", "half the body", "half the head"])
def test_a_request_that_does_not_come_to_its_end_is_not_waited_for(impatient: Api, missing: int) -> None:
    request = impatient.request(target="SageMaker.StopEdgePackagingJob", body=padded(800))
    with impatient.connect() as connection:
        connection.sendall(request[:-missing])
        assert read_answer(connection).status == 408
        assert is_closed(connection)


def dribble(connection: socket.socket, request: bytes) -> None:
    """Send the request byte by byte, each long before the patience ends."""
    for byte in request:
        connection.sendall(bytes([byte]))
        time.sleep(SLOW_SECONDS / 20)


def test_a_request_that_dribbles_in_is_not_waited_for_either(impatient: Api) -> None:
    request = impatient.request(target="SageMaker.StopEdgePackagingJob", body=padded(800))
    with impatient.connect() as connection, pytest.raises(ConnectionError):
        dribble(connection, request)


def test_an_idle_connection_is_kept_longer_than_a_request_may_take(impatient: Api) -> None:
    with impatient.connect() as connection:
        request = impatient.request(target="SageMaker.StopEdgePackagingJob", body=padded(MAX_BODY))
        connection.sendall(request)
        assert read_answer(connection).status == 200
        time.sleep(3 * SLOW_SECONDS)
        connection.sendall(request)
        assert read_answer(connection).status == 200


def test_an_answer_comes_in_one_piece(api: Api) -> None:
    with api.connect() as connection:
        for _ in range(20):
            connection.sendall(api.request(target="SageMaker.DescribeModel", body=b"{}"))
            assert b"UnknownOperationException" in connection.recv(65536).partition(b"\r\n\r\n")[2]


def test_requests_in_a_row_are_answered_in_that_order(api: Api) -> None:
    requests = [
        api.request(target=f"SageMaker.{name}", body=padded(MAX_BODY))
        for name in ("StopEdgePackagingJob", "DescribeModel", "DescribeEdgePackagingJob")
    ]
    with api.connect() as connection:
        connection.sendall(b"".join(requests))
        received = b""
        while received.count(b"HTTP/1.1 ") < 3:
            received += connection.recv(65536)
    assert re.findall(rb"HTTP/1\.1 ([0-9]+)", received) == [b"200", b"400", b"200"]


@pytest.mark.parametrize(
    "raw",
    [
        b"\0\1\2\3\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    ],
    ids=["bytes", "two lengths", "negative length", "space before colon"],
)
def test_what_is_not_http_is_refused(api: Api, raw: bytes) -> None:
    with api.connect() as connection:
        connection.sendall(raw)
        assert read_answer(connection).status == 400
        assert is_closed(connection)


@pytest.mark.parametrize("operation", ["StopEdgePackagingJob", "DescribeEdgePackagingJob"])
def test_a_key_has_a_rate(operation: str) -> None:
    rate = Rate(per_second=0.001, burst=2)
    with running(OPERATIONS, limits=Limits(read_rate=rate, work_rate=rate)) as api:
        assert [api.call(operation, NAMED).status for _ in range(2)] == [200, 200]
        third = api.call(operation, NAMED)
        assert (third.code, third.headers["retry-after"]) == ("ThrottlingException", "1")
        temporary = {"key": TEMPORARY.access_key_id, "token": TOKEN}
        assert api.call(operation, NAMED, **temporary).status == 200


def test_requests_that_wait_do_not_hold_up_reads() -> None:
    release = threading.Event()

    def wait(_caller: Any, _request: Any) -> None:
        release.wait(10)

    with running({**OPERATIONS, "StopEdgePackagingJob": handler(wait)}) as api:
        waiting = [api.connect() for _ in range(40)]
        try:
            for connection in waiting:
                connection.sendall(api.request(target="SageMaker.StopEdgePackagingJob", body=padded(MAX_BODY)))
            assert api.call("DescribeEdgePackagingJob", NAMED).status == 200
            release.set()
            assert {read_answer(connection).status for connection in waiting} == {200}
        finally:
            release.set()
            for connection in waiting:
                connection.close()


def test_a_request_that_is_served_when_the_server_stops_is_answered() -> None:
    entered, release = threading.Event(), threading.Event()

    def wait(_caller: Any, _request: Any) -> None:
        entered.set()
        release.wait(10)

    with running({"StopEdgePackagingJob": handler(wait)}) as api:
        connection = api.connect()
        connection.sendall(api.request(target="SageMaker.StopEdgePackagingJob", body=padded(MAX_BODY)))
        assert entered.wait(10)
        threading.Timer(SLOW_SECONDS, release.set).start()
    assert read_answer(connection).status == 200
    connection.close()


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def test_a_key_that_is_taken_away_stops_working() -> None:
    clock = Clock()
    with running(OPERATIONS, clock=clock) as api:
        assert [api.call("DescribeEdgePackagingJob", NAMED).status for _ in range(3)] == [200] * 3
        assert len(api.lookups) == 1
        del api.keys[LONG_TERM.access_key_id]
        clock.now += 2
        answer = api.call("DescribeEdgePackagingJob", NAMED)
    assert (answer.status, answer.code) == (403, "UnrecognizedClientException")


def test_temporary_credentials_end() -> None:
    clock = Clock()
    temporary = {"key": TEMPORARY.access_key_id, "token": TOKEN}
    with running(OPERATIONS, clock=clock) as api:
        assert api.call("DescribeEdgePackagingJob", NAMED, **temporary).status == 200
        api.keys[TEMPORARY.access_key_id] = replace(TEMPORARY, expires_at=clock.now + 2)
        clock.now += 2
        answer = api.call("DescribeEdgePackagingJob", NAMED, **temporary)
    assert (answer.status, answer.code) == (403, "ExpiredTokenException")


@pytest.mark.parametrize(
    ("key", "token"),
    [(TEMPORARY.access_key_id, None), (TEMPORARY.access_key_id, "another"), (LONG_TERM.access_key_id, TOKEN)],
    ids=["missing", "another", "of nobody"],
)
def test_a_session_token_belongs_to_its_key(api: Api, key: str, token: str | None) -> None:
    answer = api.call("DescribeEdgePackagingJob", NAMED, key=key, token=token)
    assert (answer.status, answer.code) == (403, "UnrecognizedClientException")


def test_a_wrong_secret_and_an_unknown_key_are_told_apart_by_nothing_secret(api: Api) -> None:
    wrong = api.call("DescribeEdgePackagingJob", NAMED, secret="wrong")
    unknown = api.call("DescribeEdgePackagingJob", NAMED, key="AKIANOBODY")
    assert (wrong.code, unknown.code) == ("InvalidSignatureException", "UnrecognizedClientException")
    assert SECRET.encode() not in wrong.body + unknown.body
