"""Workflows that the engine says this living worker runs, and that it does not run.

The engine gives a worker a workflow by one transaction. When the connection is lost at its commit, the database may
have given what the worker has never heard of. Nobody else would ever take it, for the worker lives.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgepack.jobs.engine import WorkQueue

LOOK_SECONDS = 3.0
"""How often a worker looks. A workflow that it has not begun from one look to the next is a stray: between being given
and being begun pass milliseconds, and being wrong costs an attempt, no more."""


class Strays:
    """What one worker has in hand, compared with what the engine says.

    Args:
        queue: The engine.
        executor_id: The worker.
        monotonic: Seconds.
    """

    def __init__(self, queue: WorkQueue, executor_id: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._executor_id = executor_id
        self._monotonic = monotonic
        self._in_hand: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._looked_at = monotonic()
        self._missing: set[str] = set()

    @contextmanager
    def holding(self, workflow_id: str) -> Iterator[None]:
        """The worker runs the workflow during the block."""
        with self._lock:
            self._in_hand[workflow_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_hand -= Counter([workflow_id])

    def holds_any(self) -> bool:
        """Whether the worker runs anything at this moment."""
        return bool(self._in_hand)

    def found(self) -> list[Any]:
        """The strays; none between two looks.

        Raises:
            DatabaseUnavailableError: The engine could not be asked.
        """
        if self._monotonic() - self._looked_at < LOOK_SECONDS:
            return []
        self._looked_at = self._monotonic()
        given = self._queue.running(self._executor_id)
        with self._lock:
            missing = [workflow for workflow in given if workflow.workflow_id not in self._in_hand]
        before, self._missing = self._missing, {workflow.workflow_id for workflow in missing}
        return [workflow for workflow in missing if workflow.workflow_id in before]
