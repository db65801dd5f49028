"""The limits of a connection that uvicorn's httptools protocol leaves open: the size and the patience of a head.

Without them a client may send headers for ever, or half a header and then nothing, and hold its connection.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from edgepack.wire.gathering import GatheringTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEAD_BYTES: Final = 64 * 1024
"""The request line and headers together. SDKs send about 1 KiB; session tokens are limited to a few KiB."""

HEAD_SECONDS: Final = 20.0
"""How long a head may take from the connection's opening, or from its first byte, to its last."""

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 43\r\nconnection: close\r\n\r\n"
    b"The request line and headers are too large."
)


class LimitedConnection(HttpToolsProtocol):
    """The protocol of uvicorn, with the limits above."""

    _head_bytes = 0
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Start the patience for the first head."""
        super().connection_made(GatheringTransport(transport, self.loop))
        self._patience = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer with the connection."""
        self._be_patient()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then look whether a request is being served or still only arriving."""
        super().data_received(data)
        if self._is_serving():
            self._be_patient()
        else:
            self._count(len(data))

    def _is_serving(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _count(self, length: int) -> None:
        """A head, or the rest of a body that was answered early, is arriving: limit its time, and a head's size."""
        if self._patience is None:
            self._patience = self.loop.call_later(HEAD_SECONDS, self._give_up)
        self._head_bytes += length
        if self._head_bytes > MAX_HEAD_BYTES and self._in_head() and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def _in_head(self) -> bool:
        # uvicorn makes the scope with a request's first byte and adds the method once the head is complete.
        scope: Mapping[str, Any] | None = self.scope
        return scope is not None and "method" not in scope

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience, self._head_bytes = None, 0

    def _give_up(self) -> None:
        self._patience = None
        if not self.transport.is_closing():
            self.transport.close()
