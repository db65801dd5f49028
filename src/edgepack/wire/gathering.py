"""One system call for an answer: uvicorn writes an answer's head and body apart, and each would be sent by itself.

The peer would be woken twice, first for a head that it can do nothing with. On the same machine that cost as much as
verifying the signature and reading the database together.
"""

import asyncio
from typing import Any


class GatheringTransport(asyncio.Transport):
    """A transport that sends what is written in one turn of the event loop at the end of that turn, together.

    Args:
        transport: Where it is sent.
        loop: The event loop that both live on.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send these bytes soon."""
        if not self._written:
            self._loop.call_soon(self._flush)
        self._written.append(bytes(data))

    def _flush(self) -> None:
        written, self._written = self._written, []
        if written:
            self._transport.write(b"".join(written))

    def close(self) -> None:
        """Send what is written, then close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is written is lost."""
        self._written.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Take no more bytes from the peer."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes from the peer again."""
        self._transport.resume_reading()
