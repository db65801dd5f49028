"""Counts the API's requests: by operation and outcome, how long they took, how many there are at once.

The library's own counters take a lock for each number: 8 µs for a request, of the 60 that Describe takes. Requests
begin and end on one thread, the event loop's, so plain numbers do, and a collector hands them on when it is asked.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from edgepack.telemetry.observers import NO_OPERATION, OK, RequestOutcome

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Buckets: a Describe takes a tenth of a millisecond, a Create some, and clients give up after a minute."""

_BOUNDS: Final = [*map(floatToGoString, SECONDS), "+Inf"]


class _Counts:
    """One operation's."""

    __slots__ = ("buckets", "codes", "seconds")

    def __init__(self, codes: Iterable[str]) -> None:
        self.codes = dict.fromkeys(codes, 0)
        self.buckets = [0] * len(_BOUNDS)
        self.seconds = 0.0


class RequestMetrics(Collector):
    """A `RequestObserver` that counts.

    Args:
        registry: Registered there.
        operations: Every operation that is served. No other value of the label ever appears but `none`.
        connections: How many connections are open now.
    """

    def __init__(
        self, registry: CollectorRegistry, operations: Iterable[str], *, connections: Callable[[], int]
    ) -> None:
        # Each is there from the start: a series that began with its first event would have no rate for it.
        self._counts = {operation: _Counts([OK]) for operation in operations}
        self._unidentified = self._counts[NO_OPERATION] = _Counts([])
        self._in_flight = 0
        self._connections = connections
        registry.register(self)

    def began(self) -> None:
        """See `RequestObserver`."""
        self._in_flight += 1

    def ended(self, outcome: RequestOutcome) -> None:
        """See `RequestObserver`."""
        self._in_flight -= 1
        counts = self._counts.get(outcome.operation, self._unidentified)
        counts.codes[outcome.code] = counts.codes.get(outcome.code, 0) + 1
        counts.buckets[bisect_left(SECONDS, outcome.seconds)] += 1
        counts.seconds += outcome.seconds

    def collect(self) -> Iterable[Metric]:
        """The metrics; on any thread."""
        requests = CounterMetricFamily(
            "edgepack_requests", "Requests by operation and error code (OK for none).", labels=["operation", "code"]
        )
        duration = HistogramMetricFamily(
            "edgepack_request_duration_seconds", "Time from a request's head to its answer.", labels=["operation"]
        )
        for operation, counts in self._counts.items():
            for code, count in list(counts.codes.items()):
                requests.add_metric([operation, code], count)
            buckets = list(zip(_BOUNDS, accumulate(list(counts.buckets)), strict=True))
            duration.add_metric([operation], buckets, counts.seconds)
        yield requests
        yield duration
        yield GaugeMetricFamily("edgepack_requests_in_flight", "Requests being answered now.", value=self._in_flight)
        yield GaugeMetricFamily("edgepack_connections", "Open connections of clients.", value=self._connections())
