"""A worker: the engine with edgepack's workflows registered, a heartbeat, and a turn at being the reaper."""

import logging
import threading
from typing import Any

from dbos import DBOS

from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.jobs import engine
from edgepack.jobs.compilation import CompilationWork
from edgepack.jobs.edge_packaging import EdgePackagingWork
from edgepack.jobs.reaper import HEARTBEAT_SECONDS, Heartbeat, Reaper
from edgepack.jobs.strays import Strays
from edgepack.jobs.sweeper import Sweeper
from edgepack.jobs.workflow import JobWork

log = logging.getLogger(__name__)

JOBS_AT_ONCE = 1
"""Jobs of one queue that a worker process runs at once: one keeps two cores busy, and its memory is bounded per job."""


class Worker:
    """One worker process's engine. Make one per process: the engine's registry is the process's.

    Args:
        database: Where jobs are.
        packaging: Runs edge packaging jobs.
        compilation: Runs compilation jobs.
    """

    def __init__(self, database: Database, *, packaging: EdgePackagingWork, compilation: CompilationWork) -> None:
        self.executor_id = engine.new_executor_id()
        self._url = database.url.render_as_string(hide_password=False)
        self._works: tuple[JobWork[Any], ...] = (packaging, compilation)
        self._heartbeat = Heartbeat(database, self.executor_id)
        self._queue = engine.WorkQueue(self._url)
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
            database, packaging.store, self._works, scratch=compilation.scratch, executor_id=self.executor_id
        )
        self._stopping = threading.Event()

    def run(self) -> None:
        """Run jobs until `stop` is called, then leave what is still running to others.

        Raises:
            DatabaseUnavailableError: The database could not be reached at the start.
        """
        self._heartbeat.start()
        DBOS(config=engine.engine_config(self._url, self.executor_id))
        engine.share_log()
        for work in self._works:
            DBOS.workflow(name=work.workflow)(self._workflow(work))
        DBOS.launch()
        for work in self._works:
            _register(work.queue)
        _register(engine.QUARANTINE_QUEUE, global_concurrency=1)
        self._sweeper.start()
        log.info("worker %s runs jobs", self.executor_id)
        while not self._stopping.wait(HEARTBEAT_SECONDS):
            self._reap()
        self._sweeper.stop()
        self._heartbeat.stop()

    def stop(self) -> None:
        """End the worker; safe to call from a signal handler."""
        self._stopping.set()

    def _workflow(self, work: JobWork[Any]) -> Any:
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
        polling_interval_sec=engine.POLLING_INTERVAL_SECONDS,
        on_conflict="always_update",
    )
