"""What a running job tells and asks while bytes flow: progress out, Stop in, neither more often than useful."""

import time
from collections.abc import Callable
from typing import Any

from edgepack.jobs.attempt import Attempt
from edgepack.jobs.workflow import STATUS_CHECK_SECONDS

REPORT_SECONDS = 1.0
"""How often progress is written to the job's row: Describe shows it, and nobody polls faster."""


class Checkpoint:
    """Called for every chunk; asks for Stop every quarter second and reports every second.

    Args:
        attempt: Whose chunks they are.
        report: Called about every second; writes the progress to the job's row, say.
        monotonic: Seconds.
    """

    def __init__(
        self,
        attempt: Attempt[Any],
        *,
        report: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempt = attempt
        self._report = report
        self._monotonic = monotonic
        self._checked_at = self._reported_at = monotonic()

    def __call__(self) -> None:
        """Go on, or not.

        Raises:
            JobStoppedError: The job is STOPPING.
            JobSupersededError: The job is no longer this attempt's.
        """
        now = self._monotonic()
        if now - self._checked_at >= STATUS_CHECK_SECONDS:
            self._checked_at = now
            self._attempt.require_running()
        if now - self._reported_at >= REPORT_SECONDS:
            self._reported_at = now
            self._report()
