"""Spans as a collector receives them."""

import time
import uuid
from collections.abc import Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from edgepack.telemetry.observers import AttemptOutcome, RequestOutcome, StepOutcome
from edgepack.telemetry.trace_ids import attempt_ids
from edgepack.telemetry.tracing import JobTraces, RequestTraces, Tracing
from otlp import Collector, attributes, collecting

ARN = "arn:aws:sagemaker:us-east-1:000000000000:edge-packaging-job/a"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NOW = 1_790_000_000_000_000_000


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture
def tracing(collector: Collector) -> Tracing:
    return Tracing(collector.endpoint + "/", process="serve", version="1.2.3", instance="host-7")


def outcome(*, traceparent: bytes | None = None, status: int = 200, **fields: str) -> RequestOutcome:
    known = {"request_id": "r-1", "job_arn": ARN, **fields}
    return RequestOutcome("CreateEdgePackagingJob", "OK", status, 0.25, NOW, known, traceparent)


def attempt(workflow_id: str, *, status: str = "COMPLETED", arn: str = ARN) -> AttemptOutcome:
    return AttemptOutcome(
        kind="edge_packaging",
        arn=arn,
        workflow_id=workflow_id,
        number=2,
        status=status,
        began_at=NOW,
        ended_at=NOW + 9,
        bytes_read=10,
        bytes_written=20,
    )


def step(workflow_id: str, *, arn: str = ARN) -> StepOutcome:
    return StepOutcome(
        kind="edge_packaging",
        arn=arn,
        workflow_id=workflow_id,
        name="package",
        done=True,
        began_at=NOW + 1,
        ended_at=NOW + 5,
    )


def test_a_request_is_a_span(collector: Collector, tracing: Tracing) -> None:
    RequestTraces(tracing).ended(outcome())
    tracing.close()
    (span,) = collector.spans
    assert (span.name, span.kind) == ("CreateEdgePackagingJob", Span.SPAN_KIND_SERVER)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (NOW - 250_000_000, NOW)
    assert attributes(span) == {
        "rpc.system": "aws-api",
        "rpc.method": "CreateEdgePackagingJob",
        "aws.request_id": "r-1",
        "http.response.status_code": 200,
        "edgepack.code": "OK",
        "edgepack.job.arn": ARN,
    }
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert collector.paths == ["/v1/traces"]
    resource = collector.resources[0]
    assert (resource["service.name"], resource["service.version"]) == ("edgepack", "1.2.3")
    assert (resource["service.instance.id"], resource["edgepack.process"]) == ("host-7", "serve")


def test_a_request_belongs_to_its_caller_s_trace(collector: Collector, tracing: Tracing) -> None:
    RequestTraces(tracing).ended(outcome(traceparent=f"00-{TRACE}-{CALLER}-01".encode()))
    RequestTraces(tracing).ended(outcome(traceparent=b"nonsense"))
    tracing.close()
    called, alone = collector.spans
    assert (called.trace_id.hex(), called.parent_span_id.hex()) == (TRACE, CALLER)
    assert alone.parent_span_id == b""
    assert alone.trace_id.hex() != TRACE


def test_a_caller_that_does_not_sample_is_not_traced(collector: Collector, tracing: Tracing) -> None:
    RequestTraces(tracing).ended(outcome(traceparent=f"00-{TRACE}-{CALLER}-00".encode()))
    tracing.close()
    assert collector.spans == []


def test_a_failure_of_ours_is_an_error(collector: Collector, tracing: Tracing) -> None:
    RequestTraces(tracing).ended(outcome(status=503))
    tracing.close()
    assert collector.spans[0].status.code == Status.STATUS_CODE_ERROR


def test_create_leads_to_the_attempt_and_the_attempt_to_its_steps(collector: Collector, tracing: Tracing) -> None:
    workflow_id = str(uuid.uuid4())
    RequestTraces(tracing).ended(outcome(workflow_id=workflow_id))
    jobs = JobTraces(tracing)
    jobs.step_ended(step(workflow_id))
    jobs.attempt_ended(attempt(workflow_id))
    tracing.close()
    create, package, whole = collector.spans
    (link,) = create.links
    assert (link.trace_id, link.span_id) == (whole.trace_id, whole.span_id)
    assert int.from_bytes(whole.trace_id) == attempt_ids(workflow_id).trace_id
    assert whole.parent_span_id == b""
    assert (package.trace_id, package.parent_span_id) == (whole.trace_id, whole.span_id)
    assert (package.name, whole.name, whole.kind) == ("package", "edge_packaging attempt", Span.SPAN_KIND_CONSUMER)
    assert attributes(whole) == {
        "edgepack.job.arn": ARN,
        "edgepack.job.kind": "edge_packaging",
        "edgepack.job.attempt": 2,
        "edgepack.job.status": "COMPLETED",
        "edgepack.job.read_bytes": 10,
        "edgepack.job.written_bytes": 20,
    }


def test_a_failed_job_is_an_error(collector: Collector, tracing: Tracing) -> None:
    JobTraces(tracing).attempt_ended(attempt(str(uuid.uuid4()), status="FAILED"))
    tracing.close()
    assert collector.spans[0].status.code == Status.STATUS_CODE_ERROR


def test_an_attempt_that_was_nobody_s_is_not_traced(collector: Collector, tracing: Tracing) -> None:
    JobTraces(tracing).step_ended(step("", arn=""))
    JobTraces(tracing).attempt_ended(attempt("", arn="", status=""))
    tracing.close()
    assert collector.spans == []


def test_an_attempt_is_sampled_whole_or_not_at_all(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    tracing = Tracing(collector.endpoint, process="worker", version="1", instance="i")
    for _ in range(40):
        workflow_id = str(uuid.uuid4())
        JobTraces(tracing).step_ended(step(workflow_id))
        JobTraces(tracing).attempt_ended(attempt(workflow_id))
    tracing.close()
    by_trace: dict[bytes, set[str]] = {}
    for span in collector.spans:
        by_trace.setdefault(span.trace_id, set()).add(span.name)
    assert 0 < len(by_trace) < 40
    assert all(names == {"package", "edge_packaging attempt"} for names in by_trace.values())


def test_a_collector_that_is_gone_holds_up_the_end_for_seconds_at_most() -> None:
    tracing = Tracing("http://127.0.0.1:9", process="worker", version="1", instance="i")
    JobTraces(tracing).attempt_ended(attempt(str(uuid.uuid4())))
    began = time.monotonic()
    tracing.close()
    assert time.monotonic() - began < 30


def test_ids_that_were_chosen_are_used_once(collector: Collector, tracing: Tracing) -> None:
    workflow_id = str(uuid.uuid4())
    JobTraces(tracing).attempt_ended(attempt(workflow_id))
    RequestTraces(tracing).ended(outcome())
    tracing.close()
    first, second = collector.spans
    assert int.from_bytes(first.span_id) == attempt_ids(workflow_id).span_id
    assert second.trace_id != first.trace_id
    assert second.span_id != first.span_id
