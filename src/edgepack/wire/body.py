"""Reading a request's body: never more of it, and never for longer, than a request of this service can need."""

import asyncio
from typing import Final

from edgepack.errors import RequestTooLargeError, SerializationError, WireError
from edgepack.wire.messages import Receive

MAX_BODY_BYTES: Final = 1024 * 1024
"""The largest body that is read. The largest that the contract allows is below 100 KiB, with every tag at its limit."""

BODY_SECONDS: Final = 30.0
"""How long a body may take from its head to its last byte: 1 MiB in that time is 35 kB/s."""

_CHECK_SECONDS: Final = 1.0
_MAX_LENGTH_DIGITS: Final = 18
"""As many digits of a declared length as are looked at; more of them only make it larger."""


class ClientDisconnectedError(WireError):
    """The client went away before its request was complete. There is nobody to answer."""

    code = "RequestAbortedException"


class RequestTimeoutError(WireError):
    """The body did not arrive in time. The client may repeat the request on a better connection."""

    code = "RequestTimeoutException"


class BodyReader:
    """Reads bodies within a limit of bytes and a limit of time.

    One timer serves all requests and looks once a second, because a timer for each would cost more than the reading.

    Args:
        max_bytes: The largest body to accept.
        seconds: How long one body may take.
    """

    def __init__(self, *, max_bytes: int = MAX_BODY_BYTES, seconds: float = BODY_SECONDS) -> None:
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._deadlines: dict[asyncio.Task[object], float] = {}
        self._overdue: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, receive: Receive, declared: bytes | None) -> bytes:
        """Read the whole body.

        Args:
            receive: The ASGI connection's.
            declared: The Content-Length header's value, if there is one. It is believed only when it is too large: the
                bytes are counted as they arrive.

        Raises:
            SerializationError: The declared length is not a number.
            RequestTooLargeError: The body is, or declares itself to be, larger than the limit.
            RequestTimeoutError: It was not complete in time.
            ClientDisconnectedError: The client went away.
        """
        if declared is not None:
            self._check_declared(declared)
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        self._deadlines[task] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(min(_CHECK_SECONDS, self._seconds), self._check, loop)
        try:
            return await self._read(receive)
        except asyncio.CancelledError:
            if task not in self._overdue:
                raise
            task.uncancel()
            raise RequestTimeoutError(f"The body did not arrive within {self._seconds:g} seconds.") from None
        finally:
            del self._deadlines[task]
            self._overdue.discard(task)

    async def _read(self, receive: Receive) -> bytes:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            body: bytes = message.get("body", b"")
            self._check_length(len(body))
            return body
        chunks: list[bytes] = []
        length = 0
        while message["type"] == "http.request":
            chunk = message.get("body", b"")
            chunks.append(chunk)
            length += len(chunk)
            self._check_length(length)
            if not message.get("more_body", False):
                return b"".join(chunks)
            message = await receive()
        raise ClientDisconnectedError("The client went away before its request was complete.")

    def _check_declared(self, declared: bytes) -> None:
        if not declared.isdigit():
            raise SerializationError("The Content-Length header is not a number.")
        self._check_length(int(declared[:_MAX_LENGTH_DIGITS]))

    def _check_length(self, length: int) -> None:
        if length > self._max_bytes:
            raise RequestTooLargeError(
                f"The body is larger than {self._max_bytes} bytes, which is all that is read here."
            )

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, deadline in self._deadlines.items():
            if now >= deadline and task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
        waiting = bool(self._deadlines)
        self._timer = loop.call_later(min(_CHECK_SECONDS, self._seconds), self._check, loop) if waiting else None
