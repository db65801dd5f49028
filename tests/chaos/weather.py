"""Bad weather on the way to the store: answers that are refused, late, cut off, lost, or not as long as they say."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from s3_proxy import Answer, Request, S3Proxy, forward, s3_error

BAD = 0.04
"""Share of requests that something happens to: few enough for a job to get through in its six tries."""

SHORT_STALL, LONG_STALL = 2.0, 11.0
"""Seconds of silence: shorter than anybody waits, and longer than is waited for a range."""

NOTHING = Answer(0, sent=-1)
"""The connection is reset without an answer."""

KINDS = ("503", "lost answer", "stall", "long stall", "no answer", "reset", "cut off", "too short", "too long", "empty")


@dataclass
class Weather:
    """A proxy's rule. Which request meets what depends on their order, hence not on the seed alone.

    Args:
        proxy: The proxy.
        rng: Decides.
    """

    proxy: S3Proxy
    rng: random.Random
    calm: bool = False
    happened: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Answer | None:
        """Let something happen to a request now and then."""
        with self._lock:
            if self.calm or self.rng.random() >= BAD:
                return None
            kind, share = self.rng.choice(KINDS), self.rng.random()
            self.happened[kind] += 1
        return happen(kind, share, request, self.proxy)


def happen(kind: str, share: float, request: Request, proxy: S3Proxy) -> Answer | None:
    """Let something happen to a request.

    Args:
        kind: One of `KINDS`.
        share: Of the answer's body, that is sent before it breaks off: 0 to 1.
        request: The request.
        proxy: Where it arrived.
    """
    if kind == "503":
        return s3_error(503, "SlowDown")
    if kind == "no answer":
        return NOTHING
    if kind in {"stall", "long stall"}:
        # Other requests than for ranges are waited for so long that a stall would only take time.
        long = kind == "long stall" and request.method == "GET" and "range" in request.headers
        time.sleep(LONG_STALL if long else SHORT_STALL)
        return None
    return _spoilt(kind, share, forward(proxy.upstream, request))


def _spoilt(kind: str, share: float, answer: Answer) -> Answer:
    """What is left of an answer, when the store has done what it was asked."""
    size = len(answer.body)
    if kind == "lost answer" or size == 0:
        return NOTHING
    if kind == "reset":
        return replace(answer, sent=int(share * size))
    if kind == "cut off":
        return replace(answer, body=answer.body[: int(share * size)], told=size)
    told = {"too short": size - min(1000, size // 2), "too long": size + 1000, "empty": 0}
    return replace(answer, told=told[kind])
