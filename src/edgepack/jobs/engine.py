"""The job engine (DBOS Transact) as edgepack uses it: one configuration for workers and for the API.

Settled here, because each default was found to bite: executor ids are unique (two workers that shared the default one
ran the same step), the application version is pinned (the default hashes the code, so an upgrade would strand queued
jobs), and values are portable JSON (the default is pickle: whoever writes the database would run code in workers).
"""

import logging
import os
import socket
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer
from dbos import error as engine_errors
from sqlalchemy.engine import Connection, Engine

from edgepack.database.engine import Database, unavailable

APPLICATION_NAME = "edgepack"
APPLICATION_VERSION = "1"
"""Raise it only together with a migration of running workflows: older workers do not take newer versions' jobs."""

EDGE_PACKAGING_QUEUE = "edge-packaging"
COMPILATION_QUEUE = "compilation"
QUARANTINE_QUEUE = "quarantine"
"""Jobs on which a worker has died wait here, and run one at a time on all workers together: the next death then tells
which of those that ran on the dead worker was the cause."""

EDGE_PACKAGING_WORKFLOW = "edge_packaging_job"
COMPILATION_WORKFLOW = "compilation_job"

RUNNING = "PENDING"
ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
"""The engine's words for a workflow that some worker runs, or ran when it died; and for one that nobody runs again."""

IDS_AT_ONCE = 500
"""Workflow ids in one query: databases limit the parameters of a statement."""


class WorkQueue:
    """The engine from outside a workflow: for the API, which queues jobs, and for the reaper, which requeues them.

    Its methods raise DatabaseUnavailableError when the database cannot be reached. Left to itself the engine would wait
    for it, up to a minute and a half after it has come back: the API would not answer, and the reaper would not reap.

    Args:
        database: The database; the engine's tables live beside edgepack's.
    """

    def __init__(self, database: Database) -> None:
        url, shared = _where(database)
        with unavailable():
            self._client = DBOSClient(
                system_database_url=url,
                system_database_engine=shared,
                serializer=DBOSPortableJSONSerializer(),
                application_name=APPLICATION_NAME,
                retry_connection_errors=False,
            )

    def enqueue(  # noqa: PLR0913 - keyword-only
        self,
        connection: Connection,
        *,
        workflow: str,
        queue: str,
        workflow_id: str,
        job_id: int,
        turn: int,
        attempt: int = 1,
    ) -> None:
        """Queue an attempt inside the transaction that writes the job's row: both become visible together, or neither.

        Args:
            connection: A connection inside a transaction on the same database.
            workflow: `EDGE_PACKAGING_WORKFLOW` or `COMPILATION_WORKFLOW`.
            queue: A queue that workers read.
            workflow_id: Unique id, also kept in the job's row.
            job_id: The job's row id.
            turn: The job's: the queue is emptied in this order, and jobs of the same turn in that of their arrival.
            attempt: The attempt's number.
        """
        self._client.enqueue_in_transaction(
            connection,
            {
                "workflow_name": workflow,
                "queue_name": queue,
                "workflow_id": workflow_id,
                "app_version": APPLICATION_VERSION,
                "priority": turn,
            },
            job_id,
            attempt,
        )

    def running(self, executor_id: str | None = None) -> list[Any]:
        """Workflows that some worker, or this one, is running, or was when it died, with the worker's `executor_id`."""
        with unavailable():
            return self._client.list_workflows(
                status=RUNNING, executor_id=executor_id, load_input=False, load_output=False
            )

    def ended_among(self, workflow_ids: Sequence[str]) -> list[Any]:
        """Those of these workflows of which no code runs any more."""
        found = []
        for start in range(0, len(workflow_ids), IDS_AT_ONCE):
            some = list(workflow_ids[start : start + IDS_AT_ONCE])
            with unavailable():
                found += self._client.list_workflows(
                    workflow_ids=some, status=ENDED, load_input=False, load_output=False
                )
        return found

    def pace(self, queue: str, *, seconds: float) -> None:
        """Let every worker pause that long before it asks a queue again; they learn of it when they next ask."""
        with unavailable():
            found = self._client.retrieve_queue(queue)
            if found is not None:
                found.set_polling_interval_sec(seconds)

    def cancel(self, workflow_id: str) -> None:
        """Let no more of a workflow run: a worker that comes back to it finds it cancelled."""
        with unavailable():
            self._client.cancel_workflow(workflow_id)

    def delete_ended(self, *, before: timedelta, at_most: int) -> int:
        """Delete the records of workflows that ended that long ago; how many. Jobs keep their own rows.

        Args:
            before: Age of the youngest to delete.
            at_most: How many at once.
        """
        with unavailable():
            old = self._client.list_workflows(
                status=ENDED,
                completed_before=(datetime.now(UTC) - before).isoformat(),
                limit=at_most,
                load_input=False,
                load_output=False,
            )
            if old:
                self._client.delete_workflows([workflow.workflow_id for workflow in old])
        return len(old)

    def close(self) -> None:
        """Close the connections."""
        self._client.destroy()


def migrate_engine(url: str) -> None:
    """Create or migrate the engine's own tables; safe to repeat."""
    DBOS.migrate(url)


def new_executor_id() -> str:
    """An id no other worker has, on any machine, ever."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def new_workflow_id() -> str:
    """An id for one attempt at one job."""
    return str(uuid.uuid4())


def engine_config(database: Database, executor_id: str) -> DBOSConfig:
    """The configuration of a worker's engine."""
    url, shared = _where(database)
    return {
        "name": APPLICATION_NAME,
        "system_database_url": url,
        "system_database_engine": shared,
        "executor_id": executor_id,
        "application_version": APPLICATION_VERSION,
        "serializer": DBOSPortableJSONSerializer(),
        "run_migrations": True,
        "enable_otlp": False,
        "console_log_level": "WARNING",
        "log_level": "WARNING",
    }


def _where(database: Database) -> tuple[str, Engine | None]:
    """The database's URL, and on PostgreSQL its connections, which the engine shares: it would keep as many again."""
    return database.url.render_as_string(hide_password=False), None if database.is_sqlite else database.engine


def share_log() -> None:
    """Let the engine log through our handlers, not its own; call it once the engine is configured."""
    logger = logging.getLogger("dbos")
    logger.handlers.clear()
    logger.propagate = True
    logger.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """False for a job that was stopped in the moment a worker took it: the engine logs that as an error."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, engine_errors.DBOSAwaitedWorkflowCancelledError)
