"""Counts what a worker's jobs do: how many ended as what, how long they and their steps took, what they moved."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from edgepack.telemetry.observers import AttemptOutcome, JobObserver, StepOutcome

NANOSECONDS: Final = 1_000_000_000

SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
"""Buckets: a small package takes a tenth of a second, 8 GB some minutes, and a compilation what it is given."""

DEATH, HANDOVER = "death", "handover"
"""Why there was another attempt: the worker of the last one fell silent, or it ended in order and left the job."""


class JobMetrics(JobObserver):
    """A `JobObserver` that counts.

    Args:
        registry: Where to.
        kinds: The kinds of jobs, `edge_packaging` and `compilation`.
        final: The statuses that a job ends in.
    """

    def __init__(self, registry: CollectorRegistry, kinds: Iterable[str], final: Iterable[str]) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=SECONDS, registry=registry)

        self._running = Gauge("edgepack_jobs_running", "Jobs that this worker runs now.", ["kind"], registry=registry)
        self._ended = counter("edgepack_jobs_ended", "Jobs that this worker ended.", "kind", "status")
        self._duration = histogram(
            "edgepack_job_duration_seconds", "Time that attempts which ended a job took.", "kind", "status"
        )
        self._steps = histogram("edgepack_job_step_duration_seconds", "Time that steps took.", "kind", "step")
        self._read = counter("edgepack_job_read_bytes", "Bytes of models that jobs read from the store.", "kind")
        self._written = counter("edgepack_job_written_bytes", "Bytes of what jobs left in the store.", "kind")
        self._retries = counter("edgepack_store_retries", "Waits because the store was not available.", "kind")
        self._requeued = counter(
            "edgepack_attempts_requeued", "Attempts that this worker queued for jobs others left.", "kind", "reason"
        )
        statuses = tuple(final)
        for kind in kinds:
            self._begin_at_zero(kind, statuses)

    def attempt_began(self, kind: str) -> None:
        """See `JobObserver`."""
        self._running.labels(kind).inc()

    def step_ended(self, step: StepOutcome) -> None:
        """See `JobObserver`."""
        self._steps.labels(step.kind, step.name).observe((step.ended_at - step.began_at) / NANOSECONDS)

    def attempt_ended(self, attempt: AttemptOutcome) -> None:
        """See `JobObserver`."""
        kind, status = attempt.kind, attempt.status
        self._running.labels(kind).dec()
        self._read.labels(kind).inc(attempt.bytes_read)
        if status:
            self._ended.labels(kind, status).inc()
            self._duration.labels(kind, status).observe((attempt.ended_at - attempt.began_at) / NANOSECONDS)
            self._written.labels(kind).inc(attempt.bytes_written)

    def store_retried(self, kind: str) -> None:
        """See `JobObserver`."""
        self._retries.labels(kind).inc()

    def requeued(self, kind: str, *, died: bool) -> None:
        """See `JobObserver`."""
        self._requeued.labels(kind, DEATH if died else HANDOVER).inc()

    def _begin_at_zero(self, kind: str, statuses: Iterable[str]) -> None:
        """A series that begins with its first event has no rate for it: what alerts count is there from the start."""
        for metric in (self._running, self._read, self._written, self._retries):
            metric.labels(kind)
        for status in statuses:
            self._ended.labels(kind, status)
        for reason in (DEATH, HANDOVER):
            self._requeued.labels(kind, reason)
