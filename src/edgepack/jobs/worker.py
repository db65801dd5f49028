"""A worker: the engine with edgepack's workflows registered, a heartbeat, and a turn at being the reaper."""

import logging
import threading
from typing import Any

from dbos import DBOS

from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.jobs import engine
from edgepack.jobs.compilation import CompilationWork
from edgepack.jobs.edge_packaging import EdgePackagingWork
from edgepack.jobs.reaper import BEAT_SECONDS, Reaper
from edgepack.jobs.workflow import JobWork

log = logging.getLogger(__name__)

JOBS_AT_ONCE = 1
"""Jobs of one kind that a worker process runs at once: one keeps two cores busy, and its memory is bounded per job."""


class Worker:
    """One worker process's engine. Make one per process: the engine's registry is the process's.

    Args:
        database: Where jobs are.
        packaging: Runs edge packaging jobs.
        compilation: Runs compilation jobs.
    """

    def __init__(self, database: Database, *, packaging: EdgePackagingWork, compilation: CompilationWork) -> None:
        self.executor_id = engine.new_executor_id()
        self._database = database
        self._works: dict[str, JobWork[Any]] = {work.workflow: work for work in (packaging, compilation)}
        self._reaper = Reaper(database, self.executor_id, self._works)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Run jobs until `stop` is called, then hand on what is still running.

        Raises:
            DatabaseUnavailableError: The database could not be reached at the start.
        """
        self._reaper.beat()
        DBOS(config=engine.engine_config(self._database.url.render_as_string(hide_password=False), self.executor_id))
        for work in self._works.values():
            DBOS.workflow(name=work.workflow)(_workflow(work))
        DBOS.launch()
        for work in self._works.values():
            DBOS.register_queue(
                work.queue,
                worker_concurrency=JOBS_AT_ONCE,
                polling_interval_sec=engine.POLLING_INTERVAL_SECONDS,
                on_conflict="always_update",
            )
        log.info("worker %s runs jobs", self.executor_id)
        while not self._stopping.wait(BEAT_SECONDS):
            self._tend()
        self._reaper.retire()

    def stop(self) -> None:
        """End the worker; safe to call from a signal handler."""
        self._stopping.set()

    def _tend(self) -> None:
        try:
            self._reaper.beat()
            self._reaper.run_once()
        except DatabaseUnavailableError as error:
            log.warning("heartbeat failed: %s", error.message)
        except Exception:
            # The heart must go on beating: without it this worker's own jobs would be taken for a dead one's.
            log.exception("recovery of dead workers failed; trying again")


def _workflow(work: JobWork[Any]) -> Any:
    def run(job_id: int) -> None:
        work.run(job_id)

    return run
