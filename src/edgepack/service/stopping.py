"""What a Stop request does, the same for both kinds of jobs."""

from edgepack.errors import ValidationError
from edgepack.jobs.lifecycle import COMPLETED, FAILED, STOPPED, STOPPING, stop_target

MESSAGES = {
    STOPPED: "Stopped before a worker took it. Nothing was written.",
    STOPPING: "Stopping at the caller's request.",
}


def target(status: str, *, kind: str, name: str) -> str | None:
    """The status that Stop turns a job into; None when it is stopping or stopped already.

    Raises:
        ValidationError: The job has ended with a result or a failure; there is nothing to stop.
    """
    if status in {COMPLETED, FAILED}:
        raise ValidationError(f"The {kind} {name!r} is {status} and cannot be stopped.")
    return stop_target(status)
