"""What a Stop request does, the same for both kinds of jobs."""

from collections.abc import Callable, Mapping
from typing import Any

from edgepack.database import outputs
from edgepack.database.jobs import JobTable
from edgepack.errors import ValidationError
from edgepack.jobs.lifecycle import COMPLETED, FAILED, STOPPED, stop_target
from edgepack.service.context import Context


def stop_job(  # noqa: PLR0913 - what the two kinds do not share, keyword-only
    context: Context,
    jobs: JobTable[Any],
    *,
    account_id: str,
    name: str,
    kind: str,
    columns: Callable[[str], Mapping[str, Any]],
) -> bool:
    """Stop a job, whatever its worker makes of it at the same moment; repeating it changes nothing.

    Args:
        context: The service's means.
        jobs: The kind of jobs.
        account_id: Whose job.
        name: Its name.
        kind: What such jobs are called, in the singular.
        columns: What goes with the new status.

    Returns:
        Whether there is such a job.

    Raises:
        ValidationError: The job has ended with a result or a failure; there is nothing to stop.
    """
    while True:
        with context.database.write() as connection:
            job = jobs.named(connection, account_id, name)
            if job is None:
                return False
            if job.status in {COMPLETED, FAILED}:
                raise ValidationError(f"The {kind} {name!r} is {job.status} and cannot be stopped.")
            target = stop_target(job.status)
            if target is None:
                return True
            values = {"status": target, "modified_at": context.clock(), **columns(target)}
            # Where transactions run side by side, the worker may have been first: then look again.
            stopped = jobs.change(connection, job.id, expected={job.status}, **values)
            if stopped is not None and target == STOPPED:
                outputs.release(connection, job.arn)
        if stopped is not None:
            if target == STOPPED:
                context.work.cancel(job.workflow_id)  # nobody need take it from the queue
            return True
