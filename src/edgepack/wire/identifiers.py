"""Request ids: what a caller quotes, and what the log has them under."""

from itertools import count
from typing import Final
from uuid import UUID

_COUNTER_BITS: Final = 48


class RequestIds:
    """Unique ids of the form SDKs expect: version 8 UUIDs (RFC 9562, section 5.8), the last 48 bits counting up.

    They need to differ, not to be unguessable; drawing each at random would cost twenty times as much.

    Args:
        seed: 128 bits that no other process has.
    """

    def __init__(self, seed: int) -> None:
        start = UUID(int=(seed >> _COUNTER_BITS << _COUNTER_BITS))
        marked = (start.int & ~(0xF << 76) | 0x8 << 76) & ~(0x3 << 62) | 0x2 << 62
        self._prefix = str(UUID(int=marked))[:-12].encode()
        self._numbers = count(1)

    def next(self) -> bytes:
        """A new id, as ASCII."""
        return self._prefix + b"%012x" % next(self._numbers)
