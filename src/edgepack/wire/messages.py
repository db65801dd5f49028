"""The request and the response as the rest of this room sees them, over ASGI (https://asgi.readthedocs.io)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request's head, as received and not yet believed.

    Attributes:
        method: Upper-case.
        path: Still percent-encoded, without the query.
        query: Still percent-encoded, without the question mark.
        headers: By lower-case name; a name that came several times has its values trimmed and joined by commas.
    """

    method: str
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]


class Response(msgspec.Struct, frozen=True, gc=False):
    """A complete answer.

    Attributes:
        body: All of it.
        content_type: Its media type.
        status: The HTTP status code.
        headers: Further headers; Content-Length, Date and the request id are added when it is sent.
    """

    body: bytes
    content_type: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


def read_head(scope: Scope) -> Request:
    """The head of an ASGI HTTP connection scope.

    Args:
        scope: As the server made it: header names in lower case, `raw_path` without the query.
    """
    received: list[tuple[bytes, bytes]] = scope["headers"]
    headers = dict(received)
    if len(headers) != len(received):
        headers = _joined(received)
    return Request(scope["method"], scope["raw_path"], scope["query_string"], headers)


def _joined(received: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Join repeated headers as RFC 9110 section 5.3 and Signature Version 4 do: in order, by commas."""
    headers: dict[bytes, bytes] = {}
    for name, value in received:
        headers[name] = b"%b,%b" % (headers[name], value.strip()) if name in headers else value.strip()
    return headers


async def send_response(send: Send, response: Response, request_id: bytes | None = None) -> None:
    """Send a complete answer.

    Args:
        send: The ASGI connection's.
        response: What to send.
        request_id: What the SDKs show as `ResponseMetadata.RequestId`; None where no SDK asks.
    """
    body = response.body
    identity = () if request_id is None else ((b"x-amzn-requestid", request_id),)
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [
                (b"content-type", response.content_type),
                (b"content-length", b"%d" % len(body)),
                *identity,
                *response.headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
