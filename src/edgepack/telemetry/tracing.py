"""Traces over OTLP/HTTP: a span for each request, a trace for each attempt at a job. Imported only when they are on.

A span is made when what it stands for has ended, with the time of its beginning: nothing has to be kept open, and a
worker that dies has told of the steps it did. `trace_ids` tells how a Create request's span leads to the job's trace.
What a span says: operation, request id, status and error code; the job's ARN, attempt and final status. Never a body, a
header or a message.

Source: https://opentelemetry.io/docs/specs/semconv/rpc/ and https://opentelemetry.io/docs/specs/otlp/.
"""

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from edgepack.telemetry.background import Background, NoAnswerError
from edgepack.telemetry.context import Value
from edgepack.telemetry.observers import AttemptOutcome, JobObserver, RequestOutcome, StepOutcome
from edgepack.telemetry.trace_ids import SpanIds, attempt_ids, parse_traceparent

TRACES_PATH: Final = "/v1/traces"
"""Below the endpoint: https://opentelemetry.io/docs/specs/otlp/#otlphttp-request."""

SERVICE_NAME: Final = "edgepack"
FLUSH_SECONDS: Final = 2.0
"""How long the end of a process waits for a collector to take the last spans."""

EXPORT_SECONDS: Final = 5.0
"""How long one try to send spans may take."""

NANOSECONDS: Final = 1_000_000_000
SERVER_ERROR: Final = 500


class Tracing:
    """Where a process's spans go. Make one per process.

    Args:
        endpoint: The collector's base URL.
        process: The process's role, `serve` or `worker`.
        version: edgepack's.
        instance: Tells this process from the others of its role.
    """

    def __init__(self, endpoint: str, *, process: str, version: str, instance: str) -> None:
        attributes = {
            "service.name": SERVICE_NAME,
            "service.version": version,
            "service.instance.id": instance,
            "edgepack.process": process,
        }
        self._ids = _ChosenIds()
        # The environment's OTEL_RESOURCE_ATTRIBUTES, OTEL_EXPORTER_OTLP_HEADERS and OTEL_TRACES_SAMPLER hold.
        self._provider = TracerProvider(
            resource=Resource.create(attributes), id_generator=self._ids, shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + TRACES_PATH, timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE_NAME, version)

    def close(self) -> None:
        """Send what has not been sent, for `FLUSH_SECONDS` at most."""
        flush = Background("flush-spans", self._provider.force_flush)
        flush.start()
        with suppress(NoAnswerError):
            flush.result(FLUSH_SECONDS)

    def of_attempt(self, workflow_id: str) -> SpanIds:
        """The root span of an attempt, for its steps, which are made before it: sampled if it will be."""
        ids = attempt_ids(workflow_id)
        decision = self._provider.sampler.should_sample(None, ids.trace_id, "").decision
        return msgspec.structs.replace(ids, sampled=decision is Decision.RECORD_AND_SAMPLE)

    def record(  # noqa: PLR0913 - keyword-only
        self,
        name: str,
        *,
        kind: SpanKind,
        began_at: int,
        ended_at: int,
        attributes: Mapping[str, Value],
        failed: bool,
        ids: SpanIds | None = None,
        parent: SpanIds | None = None,
        link: SpanIds | None = None,
    ) -> None:
        """Record one span.

        Args:
            name: The span's.
            kind: Likewise.
            began_at: Nanoseconds since the epoch.
            ended_at: Likewise.
            attributes: What it says.
            failed: Whether it stands for a failure of ours.
            ids: Its own, if they are not to be drawn: then it has no parent.
            parent: The span it belongs under.
            link: A span of another trace that it led to.
        """
        context = None if parent is None else set_span_in_context(NonRecordingSpan(_context(parent)))
        self._ids.chosen = ids
        span: Span = self._tracer.start_span(
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            links=[] if link is None else [Link(_context(link))],
            start_time=began_at,
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=ended_at)


class RequestTraces:
    """A `RequestObserver` that records a span for each request.

    Args:
        tracing: Where to.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def began(self) -> None:
        """See `RequestObserver`."""

    def ended(self, outcome: RequestOutcome) -> None:
        """See `RequestObserver`."""
        fields = outcome.fields
        attributes: dict[str, Value] = {
            "rpc.system": "aws-api",
            "rpc.method": outcome.operation,
            "aws.request_id": fields.get("request_id", ""),
            "http.response.status_code": outcome.status,
            "edgepack.code": outcome.code,
        }
        if "job_arn" in fields:
            attributes["edgepack.job.arn"] = fields["job_arn"]
        workflow_id = fields.get("workflow_id")
        self._tracing.record(
            outcome.operation,
            kind=SpanKind.SERVER,
            began_at=outcome.ended_at - int(outcome.seconds * NANOSECONDS),
            ended_at=outcome.ended_at,
            attributes=attributes,
            failed=outcome.status >= SERVER_ERROR,
            parent=parse_traceparent(outcome.traceparent),
            link=attempt_ids(workflow_id) if isinstance(workflow_id, str) else None,
        )


class JobTraces(JobObserver):
    """A `JobObserver` that records a trace for each attempt, with a span for each of its steps.

    Args:
        tracing: Where to.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def step_ended(self, step: StepOutcome) -> None:
        """See `JobObserver`."""
        if not step.arn:
            return
        self._tracing.record(
            step.name,
            kind=SpanKind.INTERNAL,
            began_at=step.began_at,
            ended_at=step.ended_at,
            attributes={"edgepack.job.arn": step.arn, "edgepack.step.done": int(step.done)},
            failed=False,
            parent=self._tracing.of_attempt(step.workflow_id),
        )

    def attempt_ended(self, attempt: AttemptOutcome) -> None:
        """See `JobObserver`."""
        if not attempt.arn:
            return
        self._tracing.record(
            f"{attempt.kind} attempt",
            kind=SpanKind.CONSUMER,
            began_at=attempt.began_at,
            ended_at=attempt.ended_at,
            attributes={
                "edgepack.job.arn": attempt.arn,
                "edgepack.job.kind": attempt.kind,
                "edgepack.job.attempt": attempt.number,
                "edgepack.job.status": attempt.status,
                "edgepack.job.read_bytes": attempt.bytes_read,
                "edgepack.job.written_bytes": attempt.bytes_written,
            },
            failed=attempt.status == "FAILED",
            ids=attempt_ids(attempt.workflow_id),
        )


class _ChosenIds(RandomIdGenerator):
    """Random ids, but for a thread's next span, if its ids are what they must be."""

    def __init__(self) -> None:
        self._thread = threading.local()

    @property
    def chosen(self) -> SpanIds | None:
        found: SpanIds | None = getattr(self._thread, "chosen", None)
        return found

    @chosen.setter
    def chosen(self, ids: SpanIds | None) -> None:
        self._thread.chosen = ids

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self.chosen is None else self.chosen.trace_id

    def generate_span_id(self) -> int:
        chosen, self.chosen = self.chosen, None
        return super().generate_span_id() if chosen is None else chosen.span_id


def _context(ids: SpanIds) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if ids.sampled else TraceFlags.DEFAULT)
    return SpanContext(ids.trace_id, ids.span_id, is_remote=True, trace_flags=flags)
