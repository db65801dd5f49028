"""Reading a request's body: never more of it than a request of this service can need.

How long it may take to arrive is the connection's to limit.
"""

from typing import Final

from edgepack.errors import RequestTooLargeError, SerializationError, WireError
from edgepack.wire.messages import Receive

MAX_BODY_BYTES: Final = 1024 * 1024
"""The largest body that is read. The largest that the contract allows is below 100 KiB, with every tag at its limit."""

_MAX_LENGTH_DIGITS: Final = 18
"""As many digits of a declared length as are looked at; more of them only make it larger."""


class ClientDisconnectedError(WireError):
    """The client went away before its request was complete. There is nobody to answer."""

    code = "RequestAbortedException"


async def read_body(receive: Receive, declared: bytes | None, *, max_bytes: int) -> bytes:
    """Read the whole body.

    Args:
        receive: The ASGI connection's.
        declared: The Content-Length header's value, if there is one. It is believed only when it is too large: the
            bytes are counted as they arrive.
        max_bytes: The largest body to accept.

    Raises:
        SerializationError: The declared length is not a number.
        RequestTooLargeError: The body is, or declares itself to be, larger than the limit.
        ClientDisconnectedError: The client went away.
    """
    if declared is not None:
        _check_declared(declared, max_bytes)
    chunks: list[bytes] = []
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnectedError("The client went away before its request was complete.")
        chunk: bytes = message.get("body", b"")
        length += len(chunk)
        if length > max_bytes:
            raise _too_large(max_bytes)
        more = message.get("more_body", False)
        if not more and not chunks:
            return chunk
        chunks.append(chunk)
    return b"".join(chunks)


def _check_declared(declared: bytes, max_bytes: int) -> None:
    if not declared.isdigit():
        raise SerializationError("The Content-Length header is not a number.")
    if int(declared[:_MAX_LENGTH_DIGITS]) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> RequestTooLargeError:
    return RequestTooLargeError(f"The body is larger than {max_bytes} bytes, which is all that is read here.")
