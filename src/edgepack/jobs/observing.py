"""Telling an observer what an attempt does: when it and its steps began and ended, and what came of it."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgepack.jobs.attempt import Attempt
from edgepack.jobs.lifecycle import FINAL
from edgepack.telemetry.observers import AttemptOutcome, JobObserver, StepOutcome

log = logging.getLogger(__name__)

NANOSECONDS = 1_000_000_000


class Watch:
    """One attempt under observation.

    Args:
        observer: Who is told.
        kind: The kind of job.
        attempt: The attempt.
    """

    def __init__(self, observer: JobObserver, kind: str, attempt: Attempt[Any]) -> None:
        self._observer = observer
        self._kind = kind
        self._attempt = attempt

    @contextmanager
    def whole(self) -> Iterator[None]:
        """The block is the attempt."""
        began_at = time.time_ns()
        self._observer.attempt_began(self._kind)
        try:
            yield
        finally:
            outcome = self._outcome(began_at)
            self._observer.attempt_ended(outcome)
            seconds = (outcome.ended_at - began_at) / NANOSECONDS
            log.info("%s after %.2f s", outcome.status or "left as it is", seconds)

    def step(self, name: str, do: Callable[[], bool]) -> bool:
        """Do a step; whether there is more to do."""
        began_at, done = time.time_ns(), False
        try:
            done = do()
        finally:
            arn, workflow_id, _ = self._known()
            self._observer.step_ended(
                StepOutcome(
                    kind=self._kind,
                    arn=arn,
                    workflow_id=workflow_id,
                    name=name,
                    done=done,
                    began_at=began_at,
                    ended_at=time.time_ns(),
                )
            )
        return done

    def _outcome(self, began_at: int) -> AttemptOutcome:
        arn, workflow_id, status = self._known()
        return AttemptOutcome(
            kind=self._kind,
            arn=arn,
            workflow_id=workflow_id,
            number=self._attempt.number,
            status=status,
            began_at=began_at,
            ended_at=time.time_ns(),
            bytes_read=self._attempt.bytes_read,
            bytes_written=self._attempt.bytes_written,
        )

    def _known(self) -> tuple[str, str, str]:
        """ARN, workflow id, and the status that this attempt, and no other, has ended the job as."""
        job = self._attempt.known
        if job is None:
            return "", "", ""
        return job.arn, job.workflow_id, job.status if job.status in FINAL else ""
