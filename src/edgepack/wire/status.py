"""What is told to anyone who watches: `/healthz`, `/readyz` and, where it is wanted, `/metrics`.

Load balancers and Prometheus ask without a signature, so nothing here names an address, a job or an account, and asking
costs next to nothing: what must be found out is found out in a thread, once for all who ask at the same time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import msgspec

from edgepack.telemetry.readiness import Readiness, Report
from edgepack.wire.messages import Receive, Request, Response, Scope, Send, read_head, send_response
from edgepack.wire.threads import Threads

NO_STORE: Final = ((b"cache-control", b"no-store"),)

HEALTHY: Final = Response(b'{"status":"ok"}', b"application/json", headers=NO_STORE)
"""The answer of `GET /healthz`: the process lives and its event loop turns. It promises nothing about the database."""

NOT_FOUND: Final = Response(b'{"status":"not found"}', b"application/json", status=404)
METHODS: Final = frozenset({"GET", "HEAD"})
UNAVAILABLE: Final = 503

STATUS_THREADS: Final = 2
"""Threads for what watchers ask, apart from the handlers' ones: one for `/readyz`, one for `/metrics`."""

METRICS_LIFETIME_SECONDS: Final = 1.0
"""How long a rendering of the metrics holds: scrapers, however many, cost one rendering a second."""

View = Callable[[], Awaitable[Response]]
"""Makes the answer for one path."""

T = TypeVar("T")


class Metrics(msgspec.Struct, frozen=True):
    """The metrics as the wire needs them.

    Attributes:
        render: The text; may wait for the database for some seconds.
        content_type: Its media type.
    """

    render: Callable[[], bytes]
    content_type: bytes


class Shared(Generic[T]):
    """A call that may wait, made in a thread, once for all who want its value at the same time; for one event loop.

    Args:
        threads: Where.
        call: The call.
        lifetime: Seconds for which its value holds.
    """

    def __init__(self, threads: Threads, call: Callable[[], T], *, lifetime: float = 0.0) -> None:
        self._threads = threads
        self._call = call
        self._lifetime = lifetime
        self._task: asyncio.Task[T] | None = None
        self._ended_at = 0.0

    async def value(self) -> T:
        """The value, at most `lifetime` old."""
        task = self._task
        if task is None or (task.done() and time.monotonic() - self._ended_at >= self._lifetime):
            task = self._task = asyncio.create_task(self._threads.run(self._call))
            task.add_done_callback(self._note_end)
        return await asyncio.shield(task)  # one who goes away does not take it from the others

    def _note_end(self, _task: asyncio.Task[T]) -> None:
        self._ended_at = time.monotonic()


class StatusPages:
    """The pages, by path; for one event loop.

    Args:
        readiness: What `/readyz` reports.
        metrics: What `/metrics` shows; None if it is not to be there.
    """

    def __init__(self, readiness: Readiness, metrics: Metrics | None = None) -> None:
        self._threads = Threads("edgepack-status", count=STATUS_THREADS)
        self._readiness = readiness
        self._report = Shared(self._threads, readiness.report)
        self.views: dict[bytes, View] = {b"/healthz": _healthy, b"/readyz": self._ready}
        if metrics is not None:
            self._text = Shared(self._threads, metrics.render, lifetime=METRICS_LIFETIME_SECONDS)
            self._content_type = metrics.content_type
            self.views[b"/metrics"] = self._metrics

    def close(self) -> None:
        """Release the threads."""
        self._threads.close()

    async def _ready(self) -> Response:
        report: Report = self._readiness.known() or await self._report.value()
        status = 200 if report.ready else UNAVAILABLE
        return Response(msgspec.json.encode(report), b"application/json", status, NO_STORE)

    async def _metrics(self) -> Response:
        return Response(await self._text.value(), self._content_type, headers=NO_STORE)


class StatusApp:
    """An ASGI application of these pages and nothing else: what a worker listens with.

    Args:
        pages: The pages.
    """

    def __init__(self, pages: StatusPages) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the protocol's
        """Serve one request."""
        if scope["type"] == "http":
            request = read_head(scope)
            await send_response(send, await self._answer(request))

    async def _answer(self, request: Request) -> Response:
        view = self._pages.views.get(request.path) if request.method in METHODS else None
        return NOT_FOUND if view is None else await view()


async def _healthy() -> Response:
    return HEALTHY
