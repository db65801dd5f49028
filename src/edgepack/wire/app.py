"""The ASGI application: every request on its way from head to answer."""

import os
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from edgepack import __version__
from edgepack.console.page import Page, render_page
from edgepack.contract.operations import OPERATIONS
from edgepack.service.caller import Credential
from edgepack.service.operations import Operations
from edgepack.telemetry.observers import DISCONNECTED, RequestObserver
from edgepack.telemetry.readiness import Readiness
from edgepack.wire.authentication import Authenticator
from edgepack.wire.body import MAX_BODY_BYTES, ClientDisconnectedError, read_body
from edgepack.wire.errors import fault_of
from edgepack.wire.identifiers import RequestIds
from edgepack.wire.json11 import Json11
from edgepack.wire.messages import Receive, Request, Response, Scope, Send, read_head, send_response
from edgepack.wire.performing import Performer
from edgepack.wire.query import FORM, Query
from edgepack.wire.recording import Record, Recorder, identify
from edgepack.wire.rest import RestJson
from edgepack.wire.served import SERVICE_TITLES, WireProtocol
from edgepack.wire.status import METHODS, StatusPages, View
from edgepack.wire.throttling import READ_RATE, WORK_RATE, Rate


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one caller may ask of the server.

    Attributes:
        read_rate: Requests for operations that run on the event loop, for each access key; None for no limit.
        work_rate: Requests for operations that run in a thread, likewise.
        max_body_bytes: The largest body that is read.
    """

    read_rate: Rate | None = READ_RATE
    work_rate: Rate | None = WORK_RATE
    max_body_bytes: int = MAX_BODY_BYTES


class App:
    """The application; made by `create_app`.

    Args:
        authenticator: Proves who sent a request.
        performer: Carries out operations.
        max_body_bytes: The largest body that is read.
        operations: The handlers.
        status: What is told to anyone who watches.
        views: What else is served to anyone, by path.
        observers: Told of every request.
    """

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        *,
        authenticator: Authenticator,
        performer: Performer,
        max_body_bytes: int,
        operations: Operations,
        status: StatusPages,
        views: Mapping[bytes, View],
        observers: Sequence[RequestObserver],
    ) -> None:
        self._authenticator = authenticator
        self._performer = performer
        self._max_body_bytes = max_body_bytes
        self._status = status
        self._views = {**status.views, **views}
        self._recorder = Recorder(observers)
        self._json = Json11(operations)
        self._query = Query(operations)
        self._rest = RestJson()
        self._ids = RequestIds(int.from_bytes(os.urandom(16)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection: an HTTP request, or the server's start and stop."""
        if scope["type"] == "http":
            await self._serve(read_head(scope), receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def close(self) -> None:
        """Release the threads; for whoever runs the application without the lifespan protocol."""
        self._performer.close()
        self._authenticator.close()
        self._status.close()

    async def _serve(self, request: Request, receive: Receive, send: Send) -> None:
        request_id = self._ids.next()
        if request.method in METHODS and (view := self._views.get(request.path)) is not None:
            await send_response(send, await view(), request_id)
            return
        protocol, record = self._protocol(request), self._recorder.begin(request, request_id)
        try:
            response = await self._answer(protocol, request, receive, record)
        except ClientDisconnectedError:
            record.code = DISCONNECTED
            self._recorder.end(record, 0)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an AWS error and the log the rest
            fault = fault_of(error, request_id)
            record.code = fault.code
            response = protocol.refuse(fault, request_id)
        self._recorder.end(record, response.status)
        await send_response(send, response, request_id)

    async def _answer(self, protocol: WireProtocol, request: Request, receive: Receive, record: Record) -> Response:
        authenticator = self._authenticator
        claim = authenticator.examine(request, protocol.services(request))
        declared = request.headers.get(b"content-length")
        body = await read_body(receive, declared, max_bytes=self._max_body_bytes)
        key = authenticator.known_key(claim.scope) or await authenticator.look_up(claim.scope)
        caller = authenticator.prove(claim, request, body, key=key)
        served, decoded = protocol.read(request, body)
        identify(record, served.name, caller, decoded)
        if served.handler.inline:
            result = self._performer.perform_inline(served.handler, caller, decoded)
        else:
            result = await self._performer.perform(served.handler, caller, decoded)
        return protocol.answer(served, result, record.request_id)

    def _protocol(self, request: Request) -> WireProtocol:
        if request.path == b"/":
            if b"x-amz-target" in request.headers:
                return self._json
            if request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == FORM:
                return self._query
        return self._rest

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.close()
        await send({"type": "lifespan.shutdown.complete"})


def create_app(  # noqa: PLR0913 - keyword-only
    *,
    operations: Operations,
    lookup: Callable[[str], Credential | None],
    lookup_inline: bool = False,
    region: str,
    clock: Callable[[], float] = time.time,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    status: StatusPages | None = None,
    observers: Sequence[RequestObserver] = (),
) -> App:
    """Make the application.

    Args:
        operations: Handlers by operation name; every name must be one of the contract's.
        lookup: Finds an active access key by its id; called at most every two seconds for each key.
        lookup_inline: Whether it never waits: then it runs on the event loop, otherwise in a thread.
        region: The region that requests must be signed for.
        clock: Epoch seconds, for signatures and for the expiry of credentials.
        limits: What one caller may ask of the server.
        status: What is told to anyone who watches; None for a server that is ready whenever it answers.
        observers: Told of every request.

    Returns:
        An ASGI 3 application for one event loop.
    """
    page = render_page(version=__version__, region=region, operations=_operations_by_title(operations))
    return App(
        authenticator=Authenticator(lookup, inline=lookup_inline, region=region, clock=clock),
        performer=Performer(read_rate=limits.read_rate, work_rate=limits.work_rate),
        max_body_bytes=limits.max_body_bytes,
        operations=operations,
        status=status or StatusPages(Readiness({})),
        views={b"/console": _always(_page_response(page))},
        observers=observers,
    )


def _operations_by_title(operations: Operations) -> dict[str, list[str]]:
    return {
        title: names
        for service, title in SERVICE_TITLES.items()
        if (names := sorted(name for name in operations if OPERATIONS[name].service == service))
    }


def _always(response: Response) -> View:
    async def view() -> Response:
        return response

    return view


def _page_response(page: Page) -> Response:
    headers = tuple((name.encode(), value.encode()) for name, value in page.headers.items())
    return Response(page.html.encode(), b"text/html; charset=utf-8", headers=headers)
