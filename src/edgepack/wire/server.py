"""Running the application under uvicorn with uvloop and httptools, in this process, until told to stop."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType
from typing import Final

import uvicorn

from edgepack.errors import StateError
from edgepack.wire.connection import LimitedConnection

KEEP_ALIVE_SECONDS: Final = 75
"""How long an idle connection is kept: longer than clients and load balancers keep theirs (most of them 60 s), so that
they, not we, close it; a server that closes first races with the next request."""

SHUTDOWN_SECONDS: Final = 3
"""How long requests that are being served get to finish once the server is told to stop: they take milliseconds, and a
body that trickles in may not hold up a stop for which container engines allow 10 s."""

MAX_CONNECTIONS: Final = 1000
"""Open connections, beyond which requests are answered with 503. Below the usual limit of 1024 open files."""

BACKLOG: Final = 1024
"""Connections that the kernel holds until they are accepted."""

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class ListenError(StateError):
    """The address cannot be listened on."""

    code = "CannotListen"
    advice = "Choose another port with --port (0 takes any free one), or end what uses this one."


class ApiServer:
    """A server for one run.

    Args:
        app: What to serve: an ASGI 3 application.
        host: Address to listen on, a name or an IPv4 or IPv6 address.
        port: Port; 0 takes any free one.
        on_stop: Called in the signal handler when the server is told to stop by SIGTERM or SIGINT.
        delay: Seconds to go on serving after SIGTERM, for load balancers to turn away; a second signal ends them.

    Raises:
        ListenError: The address cannot be listened on.
    """

    def __init__(
        self,
        app: Callable[..., object],
        *,
        host: str,
        port: int,
        on_stop: Callable[[], object] | None = None,
        delay: float = 0.0,
    ) -> None:
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(configure(app))
        self._server.on_stop, self._server.delay = on_stop, delay

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._server.server_state.connections)

    def run(self, on_ready: Callable[[int], object] | None = None) -> None:
        """Serve until `stop`, or, in the main thread, until SIGTERM or SIGINT; requests being served are finished.

        Args:
            on_ready: Called once with the real port when requests are accepted.
        """
        self._server.on_started = None if on_ready is None else lambda: on_ready(self.port)
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Have `run` return soon; from any thread, also before it was called."""
        self._server.should_exit = True


def configure(app: Callable[..., object]) -> uvicorn.Config:
    """The configuration of uvicorn.

    Args:
        app: An ASGI 3 application.
    """
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=LimitedConnection,
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        limit_concurrency=MAX_CONNECTIONS,
    )


class _Server(uvicorn.Server):
    """The server of uvicorn, which tells when it is up and leaves signals as it found them."""

    on_started: Callable[[], object] | None = None
    on_stop: Callable[[], object] | None = None
    delay = 0.0
    _stop_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.on_started is not None:
            self.on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on a signal and return; uvicorn's own raises the signal again, which ends the process uncleaned."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is Python's
        """Stop, after a SIGTERM not before the delay is over; at the second SIGINT without waiting for requests."""
        if self.on_stop is not None:
            self.on_stop()
        if sig == signal.SIGTERM and self.delay > 0 and self._stop_at is None:
            self._stop_at = time.monotonic() + self.delay
            return
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; asked ten times a second."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(
            f"Cannot listen on {host}: {error.strerror}.", advice="Give an address of this machine with --host."
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ListenError(f"Cannot listen on {host} port {port}: {error}.") from error
    return listener
