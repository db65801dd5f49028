"""Limits that uvicorn's httptools protocol leaves open: the size of a head, and the time a request may take to arrive.

Without them a client may send headers for ever, or half a request and then nothing, and hold its connection.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from edgepack.wire.gathering import GatheringTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEAD_BYTES: Final = 64 * 1024
"""The request line and headers together. SDKs send about 1 KiB; session tokens are limited to a few KiB."""

REQUEST_SECONDS: Final = 30.0
"""How long a request may take from the connection's opening, or from its first byte, to its last: the largest body in
that time is 35 kB/s."""


def _refusal(status: bytes, text: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, len(text)) + text


_TOO_LARGE: Final = _refusal(b"431 Request Header Fields Too Large", b"The request line and headers are too large.")
_TOO_SLOW: Final = _refusal(b"408 Request Timeout", b"The request did not arrive in time.")


class LimitedConnection(HttpToolsProtocol):
    """The protocol of uvicorn, with the limits above."""

    _head_bytes = 0
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Start the patience for the first request."""
        super().connection_made(GatheringTransport(transport, self.loop))
        self._patience = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer with the connection."""
        self._be_patient()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then look whether a request has arrived or is still arriving."""
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._count(len(data))
        elif cycle.more_body:
            self._wait_for_more()
        elif self._patience is not None:
            self._be_patient()

    def _count(self, length: int) -> None:
        """A head, or the rest of a body that was answered early, is arriving: limit a head's size."""
        self._wait_for_more()
        self._head_bytes += length
        if self._head_bytes > MAX_HEAD_BYTES and self._in_head() and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def _in_head(self) -> bool:
        # uvicorn makes the scope with a request's first byte and adds the method once the head is complete.
        scope: Mapping[str, Any] | None = self.scope
        return scope is not None and "method" not in scope

    def _wait_for_more(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience, self._head_bytes = None, 0

    def _give_up(self) -> None:
        self._patience = None
        if not self.transport.is_closing():
            if self.scope is not None:
                self.transport.write(_TOO_SLOW)
            self.transport.close()
