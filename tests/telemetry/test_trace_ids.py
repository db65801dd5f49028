"""W3C Trace Context as it comes, and the ids of a job's trace."""

import uuid

import pytest

from edgepack.telemetry.trace_ids import SpanIds, attempt_ids, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True), ("fe", False)])
def test_the_caller_s_span(flags: str, sampled: bool) -> None:
    found = parse_traceparent(f"00-{TRACE}-{SPAN}-{flags}".encode())
    assert found == SpanIds(int(TRACE, 16), int(SPAN, 16), sampled)


def test_a_later_version_may_have_more() -> None:
    assert parse_traceparent(f"01-{TRACE}-{SPAN}-01-more".encode()) is not None


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE[:-1]}-{SPAN}-01",
    ],
)
def test_what_is_malformed_is_ignored(header: str) -> None:
    assert parse_traceparent(header.encode()) is None


def test_without_a_header_there_is_no_caller_s_span() -> None:
    assert parse_traceparent(None) is None


def test_an_attempt_s_trace_is_its_workflow_s() -> None:
    workflow_id = str(uuid.uuid4())
    found = attempt_ids(workflow_id)
    assert found == attempt_ids(workflow_id) != attempt_ids(str(uuid.uuid4()))
    assert 0 < found.trace_id < 1 << 128
    assert 0 < found.span_id < 1 << 64
