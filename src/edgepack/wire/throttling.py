"""How many requests one access key may send: a token bucket for each, by a clock that is an argument."""

from typing import Final

import msgspec

from edgepack.errors import ThrottlingError

MAX_BUCKETS: Final = 4096
"""Access keys remembered at once. Forgetting the one that was idle longest gives it a full bucket again."""


class Rate(msgspec.Struct, frozen=True):
    """A limit.

    Attributes:
        per_second: Requests a second that may go on for ever.
        burst: Requests that may come at once after a pause.
    """

    per_second: float
    burst: float


READ_RATE: Final = Rate(per_second=25_000, burst=50_000)
"""For operations that run on the event loop. Above what one process serves on one core, so that only several fast
clients of a faster machine meet it; AWS allows an account a few tens a second."""

WORK_RATE: Final = Rate(per_second=500, burst=2_000)
"""For operations that run in a thread, which mostly write: about what an embedded database commits durably."""


class Throttle:
    """One token bucket for each access key.

    Args:
        rate: The limit that each of them is held to.
    """

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, access_key_id: str, *, now: float) -> None:
        """Take one token.

        Args:
            access_key_id: Whose request it is, proven.
            now: Seconds on a clock that does not jump.

        Raises:
            ThrottlingError: The bucket is empty.
        """
        rate = self._rate
        held = self._buckets.pop(access_key_id, None)
        tokens = rate.burst if held is None else min(rate.burst, held[0] + (now - held[1]) * rate.per_second)
        if tokens < 1:
            self._buckets[access_key_id] = (tokens, now)
            raise ThrottlingError(
                f"Rate exceeded: more than {rate.per_second:g} requests a second with access key {access_key_id}."
            )
        if held is None and len(self._buckets) >= MAX_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[access_key_id] = (tokens - 1, now)
