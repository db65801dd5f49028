"""A proxy in front of a real S3 server: counts the bytes of each request, and misbehaves where a test asks for it."""

import http.client
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Attributes:
        told: The length that is told, if it is another one than the body's; the connection is closed behind the body.
        sent: How much of the body is sent before the connection is reset; with less than nothing, not even the status.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    told: int | None = None
    sent: int | None = None


@dataclass(frozen=True)
class Request:
    """One request as it arrived. Its signature covers the Host header, which is passed on as it is."""

    method: str
    target: str
    raw_headers: dict[str, str]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Headers by lower-case name."""
        return {name.lower(): value for name, value in self.raw_headers.items()}

    @property
    def path(self) -> str:
        """Bucket and key."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        """Its parameters."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def copies(self) -> bool:
        """Whether the store is asked to copy."""
        return "x-amz-copy-source" in self.headers


Rule = Callable[[Request], Answer | None]
"""Called for each request, on its own thread: an answer to give instead of the store's, or None."""


@dataclass
class S3Proxy:
    """A running proxy; `rule` may be replaced at any time. While it is recording, all that is seen is kept."""

    endpoint: str
    upstream: str
    rule: Rule = field(default=lambda _: None)
    seen: list[tuple[Request, Answer]] = field(default_factory=list)
    recording: bool = True

    def reset(self) -> None:
        """Behave, and forget what was seen."""
        self.rule = lambda _: None
        self.seen = []

    def requests(self, method: str) -> list[Request]:
        """The requests of one method so far."""
        return [request for request, _ in self.seen if request.method == method]

    @property
    def bytes_down(self) -> int:
        """Bytes of answers so far."""
        return sum(len(answer.body) for _, answer in self.seen)

    @property
    def bytes_up(self) -> int:
        """Bytes of requests so far."""
        return sum(len(request.body) for request, _ in self.seen)


def s3_error(status: int, code: str) -> Answer:
    """An answer as S3 gives it."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>The proxy says so</Message></Error>"
    return Answer(status, body.encode(), (("Content-Type", "application/xml"),))


@contextmanager
def proxied(upstream: str) -> Iterator[S3Proxy]:
    """Start a proxy in front of an S3 endpoint, and stop it."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.proxy = S3Proxy(f"http://127.0.0.1:{server.server_port}", urlsplit(upstream).netloc)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="s3-proxy")
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    proxy: S3Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients are killed here, and a store that breaks off is passed on as one.
        if not isinstance(sys.exc_info()[1], ConnectionError | http.client.HTTPException):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.serve()

    def handle_expect_100(self) -> bool:
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def serve(self) -> None:
        proxy, length = self.server.proxy, int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError
        request = Request(self.command, self.path, dict(self.headers), body)
        answer = proxy.rule(request) or forward(proxy.upstream, request)
        if proxy.recording:
            proxy.seen.append((request, answer))
        if answer.sent is None or answer.sent >= 0:
            self.send(answer)
        if answer.sent is not None:
            # Closed with this option set, a connection is reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if (answer.told, answer.sent) != (None, None):
            self.close_connection = True

    def send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if answer.told is None or name.lower() != "content-length":
                self.send_header(name, value)
        if answer.told is not None or not any(name.lower() == "content-length" for name, _ in answer.headers):
            self.send_header("Content-Length", str(len(answer.body) if answer.told is None else answer.told))
        self.end_headers()
        self.wfile.write(answer.body[: answer.sent])
        self.wfile.flush()

    def log_message(self, *_: Any) -> None: ...


def forward(host: str, request: Request) -> Answer:
    """Pass a request on and read the whole answer."""
    connection = http.client.HTTPConnection(host)
    try:
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.raw_headers.items():
            if name.lower() not in {"connection", "expect"}:
                connection.putheader(name, value)
        connection.endheaders(request.body)
        response = connection.getresponse()
        content = response.read()
        kept = [pair for pair in response.getheaders() if pair[0].lower() not in {"transfer-encoding", "connection"}]
        return Answer(response.status, content, tuple(kept))
    finally:
        connection.close()
