"""What waits and who is there to do it, from the database: read when somebody asks, and not more often than useful."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edgepack.telemetry.background import Background
from edgepack.telemetry.backlog import Backlog

log = logging.getLogger(__name__)

LIFETIME_SECONDS: Final = 2.0
"""How long what was read holds: several Prometheus servers cost the database no more than one."""

ANSWER_SECONDS: Final = 5.0
"""How long a scrape waits for the database; then it tells everything else. Prometheus gives up after 10 s."""


class BacklogMetrics(Collector):
    """Collects them.

    Args:
        registry: Registered there.
        read: Reads them from the database; may raise, may hang.
        monotonic: Seconds.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        read: Callable[[], Backlog],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = Background("backlog", read)
        self._monotonic = monotonic
        self._last: Backlog | None = None
        self._read_at = 0.0
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """The metrics without values: registering reads no database."""
        return _families(None)

    def collect(self) -> Iterable[Metric]:
        """The metrics. If the database does not answer, only that it does not."""
        if self._last is None or self._monotonic() - self._read_at >= LIFETIME_SECONDS:
            self._last = self._answer()
            self._read_at = self._monotonic()
        return _families(self._last)

    def _answer(self) -> Backlog | None:
        self._read.start()
        try:
            return self._read.result(ANSWER_SECONDS)
        except Exception as error:
            log.debug("the backlog could not be read", exc_info=error)
            return None


def _families(backlog: Backlog | None) -> list[Metric]:
    up = GaugeMetricFamily("edgepack_database_up", "1 if the database answered this scrape.")
    jobs = GaugeMetricFamily("edgepack_jobs", "Jobs that have not ended.", labels=["kind", "status"])
    depth = GaugeMetricFamily("edgepack_queue_depth", "Jobs that wait for a worker.", labels=["kind"])
    oldest = GaugeMetricFamily(
        "edgepack_queue_oldest_seconds", "How long the job that waits longest has waited.", labels=["kind"]
    )
    workers = GaugeMetricFamily("edgepack_workers_alive", "Workers heard of in the last seconds.")
    up.add_metric([], float(backlog is not None))
    if backlog is not None:
        for (kind, status), count in backlog.jobs.items():
            jobs.add_metric([kind, status], count)
        for kind, count in backlog.waiting.items():
            depth.add_metric([kind], count)
        for kind, seconds in backlog.oldest_seconds.items():
            oldest.add_metric([kind], seconds)
        workers.add_metric([], backlog.workers)
    return [up, jobs, depth, oldest, workers]
