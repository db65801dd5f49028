"""What requests and jobs tell whoever counts and traces them: narrow, and free when nobody does.

The wire and the jobs know these types and no monitoring library. `RequestMetrics` and `JobMetrics` count,
`RequestTraces` and `JobTraces` trace; a process hands its rooms those that its settings ask for.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from edgepack.telemetry.context import Value

log = logging.getLogger(__name__)

OK: Final = "OK"
"""The code of a request that was answered."""

DISCONNECTED: Final = "ClientDisconnected"
"""The code of a request whose sender went away before all of it had come."""

NO_OPERATION: Final = "none"
"""The operation of a request that was refused before it was known to be authentic and for which operation."""


class RequestOutcome(msgspec.Struct, frozen=True, gc=False):
    """A request that has been answered.

    Attributes:
        operation: The operation's name, one of the contract's, or `NO_OPERATION`.
        code: `OK`, the error's code, or `DISCONNECTED`.
        status: The HTTP status code; 0 if there was no answer.
        seconds: From the head's arrival to the answer's sending.
        ended_at: Nanoseconds since the epoch.
        fields: The log fields of the request: its id, the account, the job's ARN where there is one.
        traceparent: The header of that name as it came (W3C Trace Context).
    """

    operation: str
    code: str
    status: int
    seconds: float
    ended_at: int
    fields: Mapping[str, Value]
    traceparent: bytes | None


class RequestObserver(Protocol):
    """Told of every request of the API, on the event loop: it may not wait."""

    def began(self) -> None:
        """A request's head has come."""
        ...

    def ended(self, outcome: RequestOutcome) -> None:
        """It has been answered, or has gone."""
        ...


class AttemptOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt at a job, as this worker leaves it.

    Attributes:
        kind: `edge_packaging` or `compilation`.
        arn: The job's; empty if the attempt was not the job's any more when it began.
        workflow_id: The attempt's own.
        number: The attempt's.
        status: What the attempt ended the job as; empty if the job goes on, or has ended otherwise.
        began_at: Nanoseconds since the epoch.
        ended_at: Likewise.
        bytes_read: Bytes of the model that the attempt read from the store.
        bytes_written: Size of what the job has left in it.
    """

    kind: str
    arn: str
    workflow_id: str
    number: int
    status: str
    began_at: int
    ended_at: int
    bytes_read: int
    bytes_written: int


class StepOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A step of an attempt that has ended.

    Attributes:
        kind: As in `AttemptOutcome`.
        arn: Likewise.
        workflow_id: The attempt's own.
        name: The step's.
        done: Whether the attempt goes on with the next step.
        began_at: Nanoseconds since the epoch.
        ended_at: Likewise.
    """

    kind: str
    arn: str
    workflow_id: str
    name: str
    done: bool
    began_at: int
    ended_at: int


class JobObserver:
    """Told what a worker's jobs do, on the thread that does it. This one does nothing: override what is wanted."""

    def attempt_began(self, kind: str) -> None:
        """A worker has begun an attempt at a job of this kind."""

    def step_ended(self, step: StepOutcome) -> None:
        """A step has ended."""

    def attempt_ended(self, attempt: AttemptOutcome) -> None:
        """An attempt of which `attempt_began` told has ended."""

    def store_retried(self, kind: str) -> None:
        """A step waits to be tried again because the store was not available."""

    def requeued(self, kind: str, *, died: bool) -> None:
        """This worker, as the reaper, has queued another attempt; `died` if the last one's worker died."""


UNOBSERVED: Final = JobObserver()


class JobObservers(JobObserver):
    """Several as one. What goes wrong with one of them is logged, and holds up neither the others nor the job.

    Args:
        observers: Told in this order.
    """

    def __init__(self, *observers: JobObserver) -> None:
        self._observers = observers

    def attempt_began(self, kind: str) -> None:
        """See `JobObserver`."""
        self._tell(lambda each: each.attempt_began(kind))

    def step_ended(self, step: StepOutcome) -> None:
        """See `JobObserver`."""
        self._tell(lambda each: each.step_ended(step))

    def attempt_ended(self, attempt: AttemptOutcome) -> None:
        """See `JobObserver`."""
        self._tell(lambda each: each.attempt_ended(attempt))

    def store_retried(self, kind: str) -> None:
        """See `JobObserver`."""
        self._tell(lambda each: each.store_retried(kind))

    def requeued(self, kind: str, *, died: bool) -> None:
        """See `JobObserver`."""
        self._tell(lambda each: each.requeued(kind, died=died))

    def _tell(self, tell: Callable[[JobObserver], None]) -> None:
        for each in self._observers:
            try:
                tell(each)
            except Exception:
                log.exception("an observer failed")
