"""Counts the API's requests: by operation and outcome, how long they took, how many there are at once."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from edgepack.telemetry.observers import NO_OPERATION, OK, RequestOutcome

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Buckets: a Describe takes a tenth of a millisecond, a Create some, and clients give up after a minute."""


class RequestMetrics:
    """A `RequestObserver` that counts.

    Args:
        registry: Where to.
        operations: Every operation that is served. No other value of the label ever appears but `none`.
    """

    def __init__(self, registry: CollectorRegistry, operations: Iterable[str]) -> None:
        self._registry = registry
        self._requests = Counter(
            "edgepack_requests",
            "Requests by operation and by error code (OK for none).",
            ["operation", "code"],
            registry=registry,
        )
        self._duration = Histogram(
            "edgepack_request_duration_seconds",
            "Time from a request's head to its answer.",
            ["operation"],
            buckets=SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "edgepack_requests_in_flight", "Requests that are being answered now.", registry=registry
        )
        known = [*operations, NO_OPERATION]
        self._durations = {operation: self._duration.labels(operation) for operation in known}
        # Each from the start, so that a rate sees the first of them; and looking a child up costs more than counting.
        self._counts = {(operation, OK): self._requests.labels(operation, OK) for operation in known[:-1]}

    def watch_connections(self, count: Callable[[], int]) -> None:
        """Tell of open connections too.

        Args:
            count: How many there are now.
        """
        connections = Gauge("edgepack_connections", "Open connections of clients.", registry=self._registry)
        connections.set_function(count)

    def began(self) -> None:
        """See `RequestObserver`."""
        self._in_flight.inc()

    def ended(self, outcome: RequestOutcome) -> None:
        """See `RequestObserver`."""
        self._in_flight.dec()
        operation = outcome.operation if outcome.operation in self._durations else NO_OPERATION
        key = operation, outcome.code
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = self._requests.labels(*key)
        count.inc()
        self._durations[operation].observe(outcome.seconds)
