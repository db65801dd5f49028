"""Recovery of dead workers: the engine's open-source core leaves a dead worker's jobs where they were; this does not.

Each worker beats once a second, by the database's clock. One of them at a time holds the reaper's lease and hands the
jobs of silent workers back to their queues. A job that has outlived `MAX_DEATHS` workers is failed alone.
"""

import logging
from typing import Any

from dbos import DBOS

from edgepack.database import executors
from edgepack.database.engine import Database
from edgepack.jobs import engine
from edgepack.jobs.lifecycle import ACTIVE, MAX_DEATHS
from edgepack.jobs.workflow import JobWork

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
SILENCE_MICROSECONDS = 6_000_000
"""A worker not heard of for this long is taken for dead: six beats, so that a busy database kills nobody who lives."""
LEASE_MICROSECONDS = 5_000_000
FORGET_MICROSECONDS = 3_600_000_000
"""Rows of dead workers are kept an hour for whoever wonders, then removed."""
LEASE_NAME = "reaper"

ENDED_WITHOUT_RESULT = ["ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "SUCCESS"]
"""Engine states after which no code of the workflow runs any more."""


class Reaper:
    """Hands on the jobs of dead workers.

    Args:
        database: Where heartbeats, leases and jobs are.
        executor_id: The worker this reaper lives in.
        works: The kinds of work, by workflow name.
    """

    def __init__(self, database: Database, executor_id: str, works: dict[str, JobWork[Any]]) -> None:
        self._database = database
        self._executor_id = executor_id
        self._works = works

    def beat(self) -> None:
        """Record that this worker lives."""
        with self._database.write() as connection:
            executors.beat(connection, self._executor_id)

    def retire(self) -> None:
        """Record that this worker ends in order: what it still held may be taken at once."""
        with self._database.write() as connection:
            executors.retire(connection, self._executor_id)

    def run_once(self) -> int:
        """Take over what dead workers left, if the lease is ours; how many jobs were handed on or failed."""
        with self._database.write() as connection:
            if not executors.take_lease(connection, LEASE_NAME, self._executor_id, duration=LEASE_MICROSECONDS):
                return 0
            executors.forget_silent(connection, beyond=FORGET_MICROSECONDS)
            living = executors.alive(connection, within=SILENCE_MICROSECONDS)
            dead = executors.silent(connection, beyond=SILENCE_MICROSECONDS)
        orphans = [workflow for workflow in engine.pending_workflows() if workflow.executor_id not in living]
        for workflow in orphans:
            self._hand_on(workflow, died=workflow.executor_id in dead)
        return len(orphans) + self._close_abandoned()

    def _hand_on(self, workflow: Any, *, died: bool) -> None:
        work = self._works.get(workflow.name)
        if work is None:
            return
        deaths = work.count_recovery(workflow.workflow_id, died=died)
        if deaths >= MAX_DEATHS:
            log.error("%d workers died on workflow %s: failing its job", deaths, workflow.workflow_id)
            DBOS.cancel_workflow(workflow.workflow_id)
            work.fail_poison(workflow.workflow_id)
            return
        log.warning("worker %s is gone: handing on workflow %s", workflow.executor_id, workflow.workflow_id)
        DBOS.resume_workflow(workflow.workflow_id, queue_name=work.queue)

    def _close_abandoned(self) -> int:
        closed = 0
        for work in self._works.values():
            active = work.active_workflows(ACTIVE)
            if not active:
                continue
            ended = DBOS.list_workflows(
                workflow_ids=active, status=ENDED_WITHOUT_RESULT, load_input=False, load_output=False
            )
            for workflow in ended:
                closed += work.fail_abandoned(workflow.workflow_id)
        return closed
