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


class _Bucket(msgspec.Struct):
    """One access key's tokens.

    Attributes:
        tokens: How many there were at `filled_at`.
        filled_at: Seconds.
    """

    tokens: float
    filled_at: float


class Throttle:
    """One token bucket for each access key.

    Args:
        rate: The limit that each of them is held to.
    """

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, access_key_id: str, *, now: float) -> None:
        """Take one token.

        Args:
            access_key_id: Whose request it is, proven.
            now: Seconds on a clock that does not jump.

        Raises:
            ThrottlingError: The bucket is empty.
        """
        rate, bucket = self._rate, self._buckets.get(access_key_id)
        if bucket is None:
            bucket = self._new_bucket(access_key_id, now)
        bucket.tokens = min(rate.burst, bucket.tokens + (now - bucket.filled_at) * rate.per_second)
        bucket.filled_at = now
        if bucket.tokens < 1:
            raise ThrottlingError(
                f"Rate exceeded: more than {rate.per_second:g} requests a second with access key {access_key_id}."
            )
        bucket.tokens -= 1

    def _new_bucket(self, access_key_id: str, now: float) -> _Bucket:
        if len(self._buckets) >= MAX_BUCKETS:
            del self._buckets[min(self._buckets, key=lambda each: self._buckets[each].filled_at)]
        self._buckets[access_key_id] = bucket = _Bucket(self._rate.burst, now)
        return bucket
