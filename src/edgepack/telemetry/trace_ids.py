"""W3C Trace Context, and the ids that a job's trace has because of what it is: nobody has to carry them to the worker.

Every attempt at a job is a workflow with a random id of its own (docs/adr/0005). The attempt's trace id and the id of
its root span are cut from that id's SHA-256. So the server that answers Create can link its span to the trace of the
attempt that it has queued, and the worker can begin that trace, without a column, a message or a header between the
two. (Not the id itself, a UUID: some of its bits are always the same, and samplers go by just those.)
"""

import re
from hashlib import sha256
from typing import Final

import msgspec

# https://www.w3.org/TR/trace-context/#traceparent-header: later versions may have more fields; ff is none.
_TRACEPARENT: Final = re.compile(rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_VERSION_0: Final = b"00"


class SpanIds(msgspec.Struct, frozen=True):
    """Which span of which trace.

    Attributes:
        trace_id: 128 bits, not 0.
        span_id: 64 bits, not 0.
        sampled: Whether somebody records the trace.
    """

    trace_id: int
    span_id: int
    sampled: bool = True


def parse_traceparent(header: bytes | None) -> SpanIds | None:
    """The caller's span; None if there is none, or if the header is malformed and so to be ignored.

    Args:
        header: The value of `traceparent`.
    """
    matched = _TRACEPARENT.fullmatch(header) if header is not None else None
    if matched is None or (matched[1] == _VERSION_0 and matched[5]):
        return None
    trace_id, span_id = int(matched[2], 16), int(matched[3], 16)
    return SpanIds(trace_id, span_id, bool(int(matched[4], 16) & 1)) if trace_id and span_id else None


def attempt_ids(workflow_id: str) -> SpanIds:
    """The root span of an attempt.

    Args:
        workflow_id: The attempt's.
    """
    digest = sha256(workflow_id.encode()).digest()
    return SpanIds(int.from_bytes(digest[:16]), int.from_bytes(digest[16:24]))
