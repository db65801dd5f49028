"""A worker: the engine with edgepack's workflows registered, a heartbeat, and a turn at being the reaper."""

import logging
import math
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from dbos import DBOS

from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.jobs import engine
from edgepack.jobs.compilation import CompilationWork
from edgepack.jobs.edge_packaging import EdgePackagingWork
from edgepack.jobs.pacing import polling_seconds
from edgepack.jobs.reaper import HEARTBEAT_SECONDS, Heartbeat, Reaper
from edgepack.jobs.strays import Strays
from edgepack.jobs.sweeper import Sweeper

if TYPE_CHECKING:
    from edgepack.jobs.workflow import JobWork

log = logging.getLogger(__name__)

JOBS_AT_ONCE = 1
"""Jobs of one queue that a worker process runs at once: one keeps two cores busy, and its memory is bounded per job.

And a job that kills its worker takes few others along: for more jobs at once there are more workers."""

DRAIN_LOOK_SECONDS = 0.05
"""How often a worker that stops looks whether its jobs have ended."""
DRAIN_MARGIN_SECONDS = 5
"""The engine is taken down after the worker has left: a job that is still under way is not to meet the ruins."""


class Worker:
    """One worker process's engine. Make one per process: the engine's registry is the process's.

    Args:
        database: Where jobs are.
        packaging: Runs edge packaging jobs.
        compilation: Runs compilation jobs.
        executor_id: The worker's id.
        drain_seconds: How long jobs that are under way may go on after `stop`, before they are handed over.
    """

    def __init__(
        self,
        database: Database,
        *,
        packaging: EdgePackagingWork,
        compilation: CompilationWork,
        executor_id: str,
        drain_seconds: float = 0.0,
    ) -> None:
        self.executor_id = executor_id
        self._database = database
        self._works: tuple[JobWork[Any], ...] = (packaging, compilation)
        self._heartbeat = Heartbeat(database, self.executor_id)
        self._queue = engine.WorkQueue(database)
        self._scratch = compilation.scratch
        self._strays = Strays(self._queue, self.executor_id)
        self._reaper = Reaper(
            database,
            self._queue,
            self._works,
            executor_id=self.executor_id,
            steady_seconds=self._heartbeat.steady_seconds,
            strays=self._strays,
        )
        self._sweeper = Sweeper(
            database, packaging.store, self._works, scratch=self._scratch, executor_id=self.executor_id
        )
        self._drain_seconds = drain_seconds
        self._told_to_stop: SimpleQueue[None] = SimpleQueue()
        self._launched = False

    @property
    def launched(self) -> bool:
        """Whether the engine takes jobs from the queues."""
        return self._launched

    def run(self) -> None:
        """Run jobs until `stop` is called; what does not end soon after that is handed over to other workers.

        Raises:
            DatabaseUnavailableError: The database could not be reached at the start.
        """
        self._heartbeat.start()
        DBOS(config=engine.engine_config(self._database, self.executor_id))
        engine.share_log()
        for work in self._works:
            DBOS.workflow(name=work.workflow)(self._held(work))
        DBOS.launch()
        for work in self._works:
            _register(work.queue)
        _register(engine.QUARANTINE_QUEUE, global_concurrency=1)
        self._launched = True
        self._sweeper.start()
        log.info("worker %s runs jobs", self.executor_id)
        while not self._is_told_to_stop(within=HEARTBEAT_SECONDS):
            self._reap()
        self._sweeper.stop()
        self._drain()
        self._heartbeat.stop()
        if not self._strays.holds_any():  # or a job that is handed over would fail for want of its folder
            self._scratch.close()

    def stop(self) -> None:
        """End the worker; the second call ends its waiting for jobs, too. Safe to call from a signal handler."""
        self._told_to_stop.put(None)  # of all in the library, this alone may interrupt its own waiting

    def _is_told_to_stop(self, *, within: float) -> bool:
        try:
            self._told_to_stop.get(timeout=within)
        except Empty:
            return False
        return True

    def _drain(self) -> None:
        """Begin no other job, and wait for those that are under way; the heart goes on beating meanwhile."""
        if not (self._drain_seconds and self._strays.holds_any()):
            return
        log.info("stopping: jobs that are under way may go on for %.0f s", self._drain_seconds)
        patience = {"workflow_completion_timeout_sec": math.ceil(self._drain_seconds) + DRAIN_MARGIN_SECONDS}
        threading.Thread(target=DBOS.destroy, kwargs=patience, name="drain", daemon=True).start()
        until = time.monotonic() + self._drain_seconds
        while self._strays.holds_any() and time.monotonic() < until:
            if self._is_told_to_stop(within=DRAIN_LOOK_SECONDS):
                break
        if self._strays.holds_any():
            log.info("stopping: what is under way is handed over")

    def _held(self, work: "JobWork[Any]") -> Callable[[int, int], None]:
        """The workflow's body, known to be in this worker's hand while it runs."""

        def run(job_id: int, attempt: int) -> None:
            workflow_id = DBOS.workflow_id
            assert workflow_id is not None
            with self._strays.holding(workflow_id):
                work.run(job_id, attempt)

        return run

    def _reap(self) -> None:
        try:
            self._reaper.run_once()
        except DatabaseUnavailableError as error:
            log.warning("recovery of dead workers failed: %s", error.message)
        except Exception:
            log.exception("recovery of dead workers failed; trying again")


def _register(queue: str, *, global_concurrency: int | None = None) -> None:
    DBOS.register_queue(
        queue,
        worker_concurrency=JOBS_AT_ONCE,
        global_concurrency=global_concurrency,
        polling_interval_sec=polling_seconds(workers=1, waiting=False),  # until the reaper knows better
        on_conflict="always_update",
    )
