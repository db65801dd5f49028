"""Recovery: the engine's open-source core leaves a dead worker's jobs where they were; this does not.

Each worker beats once a second, by the database's clock. One of them at a time holds the reaper's lease and begins
another attempt at the jobs of silent workers. A job on which `MAX_DEATHS` workers have died fails, and it alone.

Silence is no death while the database itself was away: nobody is judged before the judge has been heard for a while.

Only rows are changed here. What must be removed from the store is removed by the next attempt: the store may be slow,
and recovery must not wait for it.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from edgepack.database import executors
from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.jobs.attempt import note_leftover
from edgepack.jobs.engine import QUARANTINE_QUEUE, WorkQueue, new_workflow_id
from edgepack.jobs.lifecycle import ACTIVE, STARTING
from edgepack.jobs.pacing import polling_seconds
from edgepack.jobs.strays import Strays
from edgepack.jobs.workflow import JobWork
from edgepack.telemetry.context import bound

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
SILENCE_MICROSECONDS = 6_000_000
"""A worker not heard of for this long is taken for dead: six beats, so that a busy database kills nobody who lives."""
LEASE_MICROSECONDS = 2_500_000
"""Much less than that silence: whose jobs are to be taken over may have been the reaper itself, and the one after it.
A reaper that is late does no harm, so no more than a beat or two need fit in."""

GAP_SECONDS = 3.0
"""Between two beats of a worker: if more passed, the database was away, or the worker itself."""
STEADY_SECONDS = 2.5
"""A reaper judges others when its own beats have come for so long: time for everybody to be heard after an outage. With
the silence, one pass and a worker's start, a dead worker's job is in other hands within 15 s."""
FORGET_MICROSECONDS = 3_600_000_000
"""Rows of dead workers are kept an hour for whoever wonders, then removed."""
LEASE_NAME = "reaper"

HOUSEKEEPING_SECONDS = 10.0
"""How often the reaper looks for jobs that their workflow has left, and for old workflows."""

WORKFLOWS_KEPT = timedelta(hours=1)
"""How long the engine's record of an ended workflow is kept: the job's own row tells what became of it."""

WORKFLOWS_DELETED_AT_ONCE, DELETIONS = 500, 20
"""Together a thousand a second: more than the workers of one database end."""

JOBS_LOOKED_AT = 2_000
"""Jobs of a kind that are looked at in one housekeeping: some ten milliseconds, however many jobs wait."""


class Heartbeat:
    """Tells everybody that this worker lives; on a thread of its own, so that nothing else can hold it up.

    Args:
        database: Where heartbeats are.
        executor_id: The worker.
        monotonic: Seconds.
    """

    def __init__(
        self, database: Database, executor_id: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._executor_id = executor_id
        self._monotonic = monotonic
        self._steady_since = self._beaten_at = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def steady_seconds(self) -> float:
        """For how long beats have come without a gap."""
        now = self._monotonic()
        return now - self._steady_since if now - self._beaten_at <= GAP_SECONDS else 0.0

    def start(self) -> None:
        """Beat once, then every `HEARTBEAT_SECONDS`.

        Raises:
            DatabaseUnavailableError: The database could not be reached for the first beat.
        """
        self.beat()
        self._thread.start()

    def stop(self) -> None:
        """Tell that this worker ends in order: what it still holds may be taken at once."""
        self._stopping.set()
        self._thread.join()
        try:
            with self._database.write() as connection:
                executors.retire(connection, self._executor_id)
        except DatabaseUnavailableError as error:
            log.warning("ended without notice: %s", error.message)

    def _run(self) -> None:
        while not self._stopping.wait(HEARTBEAT_SECONDS):
            try:
                self.beat()
            except DatabaseUnavailableError as error:
                log.warning("heartbeat failed: %s", error.message)

    def beat(self) -> None:
        """Beat once.

        Raises:
            DatabaseUnavailableError: Nobody has heard it.
        """
        with self._database.write() as connection:
            executors.heartbeat(connection, self._executor_id)
        now = self._monotonic()
        if now - self._beaten_at > GAP_SECONDS:
            self._steady_since = now
        self._beaten_at = now


class Reaper:
    """Begins another attempt at what dead workers left.

    Args:
        database: Where heartbeats, leases and jobs are.
        queue: The engine.
        works: The kinds of work.
        executor_id: The worker this reaper lives in.
        steady_seconds: For how long this worker's own beats have come without a gap.
        strays: What the engine says that this worker runs, and it does not.
        monotonic: Seconds, for the housekeeping's pace.
    """

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        database: Database,
        queue: WorkQueue,
        works: Collection[JobWork[Any]],
        *,
        executor_id: str,
        steady_seconds: Callable[[], float],
        strays: Strays,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._queue = queue
        self._works = {work.workflow: work for work in works}
        self._executor_id = executor_id
        self._steady_seconds = steady_seconds
        self._strays = strays
        self._monotonic = monotonic
        self._housekeeping_at = 0.0
        self._looked_at = dict.fromkeys(self._works, 0)
        self._paces: dict[str, float] = {}

    def run_once(self) -> int:
        """Give back this worker's strays, and look after everything else if the lease is ours; how many were requeued.

        Raises:
            DatabaseUnavailableError: The database could not be reached; the next time finds what is left.
        """
        requeued = sum(self._requeue(workflow, died=False) for workflow in self._strays.found())
        with self._database.write() as connection:
            if not executors.take_lease(connection, LEASE_NAME, self._executor_id, duration=LEASE_MICROSECONDS):
                return requeued
            executors.forget_silent(connection, beyond=FORGET_MICROSECONDS)
        requeued += self._requeue_orphans()
        self._set_paces()
        if self._monotonic() >= self._housekeeping_at:
            self._housekeeping_at = self._monotonic() + HOUSEKEEPING_SECONDS
            self._paces.clear()  # another worker may have held the lease since, or have registered the queues anew
            requeued += self._requeue_abandoned()
            self._forget_workflows()
        return requeued

    def _requeue_orphans(self) -> int:
        """What workers run that have died, or ended in order."""
        running = self._queue.running()  # first: who begins one later need not be known to live
        with self._database.read() as connection:
            living = executors.alive(connection, within=SILENCE_MICROSECONDS)
            dead = executors.silent(connection, beyond=SILENCE_MICROSECONDS)
        if self._steady_seconds() < STEADY_SECONDS:
            living |= dead
        living.add(self._executor_id)
        orphans = [workflow for workflow in running if workflow.executor_id not in living]
        return sum(self._requeue(workflow, died=workflow.executor_id in dead) for workflow in orphans)

    def _set_paces(self) -> None:
        """Tell all workers how often to ask each queue for work."""
        waiting = {QUARANTINE_QUEUE: False}
        with self._database.read() as connection:
            workers = len(executors.alive(connection, within=SILENCE_MICROSECONDS))
            for work in self._works.values():
                waiting[work.queue] = work.jobs.any_in(connection, STARTING)
        for queue, jobs_wait in waiting.items():
            seconds = polling_seconds(workers=workers, waiting=jobs_wait)
            if self._paces.get(queue) != seconds:
                self._queue.pace(queue, seconds=seconds)
                self._paces[queue] = seconds

    def _requeue(self, workflow: Any, *, died: bool) -> int:
        """Begin the next attempt after a workflow; 0 if that has been done already, or the job has ended.

        Both in one transaction, which changes nothing the second time, so that a reaper that dies, or is late, does no
        harm. The old workflow is cancelled last: until then the next reaper finds it again.
        """
        work = self._works.get(workflow.name)
        job = None
        if work is not None:
            with self._database.write() as connection:
                job = work.jobs.begin_attempt(
                    connection,
                    after=workflow.workflow_id,
                    workflow_id=new_workflow_id(),
                    died=died,
                    statuses=ACTIVE,
                )
                if job is not None:
                    note_leftover(connection, job, work.target(job))
                    queue = QUARANTINE_QUEUE if job.deaths else work.queue
                    self._queue.enqueue(
                        connection,
                        workflow=work.workflow,
                        queue=queue,
                        workflow_id=job.workflow_id,
                        job_id=job.id,
                        turn=job.turn,
                        attempt=job.attempt,
                    )
        if work is not None and job is not None:
            with bound(job_arn=job.arn, attempt=job.attempt):
                log.warning("worker %s has left it; another attempt", workflow.executor_id)
            work.observer.requeued(work.kind, died=died)
        self._queue.cancel(workflow.workflow_id)
        return int(job is not None)

    def _requeue_abandoned(self) -> int:
        """Jobs whose workflow ended without ending them: the database failed for longer than a step is retried.

        Looked for among `JOBS_LOOKED_AT` of each kind, and among the next ones the next time.
        """
        requeued = 0
        for name, work in self._works.items():
            with self._database.read() as connection:
                active = work.jobs.active_workflows(connection, after=self._looked_at[name], limit=JOBS_LOOKED_AT)
            self._looked_at[name] = active[-1][0] if len(active) == JOBS_LOOKED_AT else 0
            ended = self._queue.ended_among([workflow_id for _, workflow_id in active])
            requeued += sum(self._requeue(workflow, died=True) for workflow in ended)
        return requeued

    def _forget_workflows(self) -> None:
        for _ in range(DELETIONS):
            if self._queue.delete_ended(before=WORKFLOWS_KEPT, at_most=WORKFLOWS_DELETED_AT_ONCE) == 0:
                return
