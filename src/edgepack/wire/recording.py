"""What is kept of a request for those who watch: log fields, one line of access log, and a word to each observer.

It stands on Describe's path, so it costs about a microsecond while nobody watches.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from edgepack.contract.arns import compilation_job_arn, edge_packaging_job_arn
from edgepack.contract.operations import OPERATIONS
from edgepack.contract.shapes import Shape
from edgepack.service.caller import Caller
from edgepack.telemetry import context
from edgepack.telemetry.observers import NO_OPERATION, OK, RequestObserver, RequestOutcome
from edgepack.wire.messages import Request

log = logging.getLogger(__name__)

SERVER_ERROR: Final = 500
MILLISECONDS: Final = 1000.0

_JOBS: Final[Mapping[str, Callable[[str, str, str], str]]] = {
    "edge_packaging_job_name": edge_packaging_job_arn,
    "compilation_job_name": compilation_job_arn,
}
"""Members that name the job an operation is about, and how its ARN is built; the first that a request has counts."""


class Record(msgspec.Struct, gc=False):
    """One request on its way.

    Attributes:
        request_id: The id that the answer carries.
        fields: What its log lines say it is about.
        began: Seconds on the performance counter.
        traceparent: The header as it came.
        code: How it ended: `OK`, an error's code.
    """

    request_id: bytes
    fields: context.Fields
    began: float
    traceparent: bytes | None
    code: str = OK


class Recorder:
    """Keeps a record of each request.

    Args:
        observers: Told of the end of each.
    """

    def __init__(self, observers: Sequence[RequestObserver] = ()) -> None:
        self._observers = tuple(observers)

    def begin(self, request: Request, request_id: bytes) -> Record:
        """Begin one, in the request's own task."""
        fields: context.Fields = {"request_id": request_id.decode()}
        context.begin(fields)
        record = Record(request_id, fields, time.perf_counter(), request.headers.get(b"traceparent"))
        for observer in self._observers:
            observer.began()
        return record

    def end(self, record: Record, status: int) -> None:
        """End it.

        Args:
            record: The record.
            status: The answer's HTTP status code; 0 if there was none.
        """
        seconds = time.perf_counter() - record.began
        if status >= SERVER_ERROR or log.isEnabledFor(logging.DEBUG):
            _log_access(record, status, seconds)
        if self._observers:
            self._tell(record, status, seconds)

    def _tell(self, record: Record, status: int, seconds: float) -> None:
        operation = str(record.fields.get("operation", NO_OPERATION))
        outcome = RequestOutcome(
            operation, record.code, status, seconds, time.time_ns(), record.fields, record.traceparent
        )
        for observer in self._observers:
            try:
                observer.ended(outcome)
            except Exception:  # it must hold up neither the others nor the answer
                log.exception("an observer failed")


def _log_access(record: Record, status: int, seconds: float) -> None:
    milliseconds = round(seconds * MILLISECONDS, 2)
    context.note(status=status, code=record.code, milliseconds=milliseconds)
    level = logging.WARNING if status >= SERVER_ERROR else logging.DEBUG
    log.log(level, "%d %s in %.2f ms", status, record.code, milliseconds)


def identify(record: Record, operation: str, caller: Caller, request: Any) -> None:
    """Note who asks for what, once it is proven.

    Args:
        record: The record.
        operation: The operation's name.
        caller: The sender.
        request: The decoded request.
    """
    fields = record.fields
    fields["operation"] = operation
    fields["account_id"] = caller.account_id
    names_job = _ABOUT_JOB.get(operation)
    if names_job is not None:
        member, arn = names_job
        fields["job_arn"] = arn(caller.region, caller.account_id, getattr(request, member))


def _about_job(shape: type[Shape]) -> tuple[str, Callable[[str, str, str], str]] | None:
    return next(((member, arn) for member, arn in _JOBS.items() if member in shape.__struct_fields__), None)


_ABOUT_JOB: Final = {
    name: about for name, operation in OPERATIONS.items() if (about := _about_job(operation.request)) is not None
}
"""Which member of an operation's request names a job, and how its ARN is built."""
