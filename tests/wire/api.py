"""The application behind its real server, with handlers of the tests' own, and requests as botocore signs them."""

import contextlib
import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from edgepack.service.caller import Credential
from edgepack.service.operations import Handler, Operations
from edgepack.wire.app import Limits, create_app
from edgepack.wire.server import ApiServer

SECRET = "a/secret+access/key"
LONG_TERM = Credential("AKIAWIRETESTS0000001", SECRET.encode(), "000000000000", "arn:aws:iam::0:user/a", "AIDA1")
TOKEN = "a-session-token"
TEMPORARY = Credential(
    "ASIAWIRETESTS0000001",
    SECRET.encode(),
    "000000000000",
    "arn:aws:sts::0:assumed-role/r/s",
    "AROA1:s",
    token_sha256=hashlib.sha256(TOKEN.encode()).digest(),
    expires_at=2_000_000_000.0,
)

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Answer:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def code(self) -> str:
        return str(self.json["__type"])


@dataclass
class Api:
    """A running server."""

    port: int
    keys: dict[str, Credential] = field(default_factory=dict)
    lookups: list[str] = field(default_factory=list)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def send(self, raw: bytes) -> Answer:
        """Send bytes on a connection of their own; the first answer to them."""
        with self.connect() as connection:
            connection.sendall(raw)
            return read_answer(connection)

    def call(self, operation: str, body: Any = None, **changes: Any) -> Answer:
        """One signed request of the AWS JSON protocol."""
        encoded = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        return self.send(self.request(target=f"SageMaker.{operation}", body=encoded, **changes))

    def query(self, form: bytes, **changes: Any) -> Answer:
        """One signed request of the query protocol."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send(self.request(headers=headers, body=form, service="sts", **changes))

    def request(
        self,
        *,
        method: str = "POST",
        path: str = "/",
        target: str | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        service: str = "sagemaker",
        key: str = LONG_TERM.access_key_id,
        secret: str = SECRET,
        token: str | None = None,
    ) -> bytes:
        """A request's bytes, signed by botocore."""
        request = AWSRequest(method, f"http://127.0.0.1:{self.port}{path}", data=body)
        if headers is None:
            headers = {"Content-Type": "application/x-amz-json-1.1"}
        if target is not None:
            headers = {"X-Amz-Target": target, **headers}
        for name, value in headers.items():
            request.headers[name] = value
        SigV4Auth(Credentials(key, secret, token), service, "us-east-1").add_auth(request)
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        host = f"Host: 127.0.0.1:{self.port}\r\nContent-Length: {len(body)}\r\n"
        return f"{method} {path} HTTP/1.1\r\n{host}{lines}\r\n".encode() + body


def read_answer(connection: socket.socket) -> Answer:
    """The next answer on a connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    body = response.read()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server ends the connection, with or without a last word, within the socket's timeout."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@contextlib.contextmanager
def running(
    operations: Operations, *, limits: Limits = DEFAULT_LIMITS, clock: Callable[[], float] = time.time, **more: Any
) -> Iterator[Api]:
    """Serve these operations on a free port."""
    api = Api(0, {each.access_key_id: each for each in (LONG_TERM, TEMPORARY)})

    def lookup(access_key_id: str) -> Credential | None:
        api.lookups.append(access_key_id)
        return api.keys.get(access_key_id)

    app = create_app(operations=operations, lookup=lookup, region="us-east-1", limits=limits, clock=clock, **more)
    server = ApiServer(app, host="127.0.0.1", port=0)
    api.port = server.port
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=[lambda _: ready.set()], name="api-server")
    thread.start()
    try:
        assert ready.wait(10)
        yield api
    finally:
        server.stop()
        thread.join()
        app.close()


def handler(call: Callable[[Any, Any], Any], *, inline: bool = False) -> Handler:
    return Handler(call, inline=inline)


def raising(error: Exception) -> Handler:
    """A handler that fails with this error."""

    def call(_caller: Any, _request: Any) -> None:
        raise error

    return Handler(call)
