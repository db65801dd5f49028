"""The job engine (DBOS Transact) as edgepack uses it: one configuration for workers and for the API.

Settled here, because each default was found to bite: executor ids are unique (two workers that shared the default one
ran the same step), the application version is pinned (the default hashes the code, so an upgrade would strand queued
jobs), and values are portable JSON (the default is pickle: whoever writes the database would run code in workers).
"""

import os
import socket
import uuid
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer
from sqlalchemy.engine import Connection

APPLICATION_NAME = "edgepack"
APPLICATION_VERSION = "1"
"""Raise it only together with a migration of running workflows: older workers do not take newer versions' jobs."""

EDGE_PACKAGING_QUEUE = "edge-packaging"
COMPILATION_QUEUE = "compilation"
EDGE_PACKAGING_WORKFLOW = "edge_packaging_job"
COMPILATION_WORKFLOW = "compilation_job"

POLLING_INTERVAL_SECONDS = 0.3
"""How long a job may wait in an idle queue; each poll is one short query."""


class WorkQueue:
    """Hands jobs to workers from outside them: the API's side of the engine.

    Args:
        url: The database's URL; the engine's tables live beside edgepack's.
    """

    def __init__(self, url: str) -> None:
        self._client = DBOSClient(
            system_database_url=url, serializer=DBOSPortableJSONSerializer(), application_name=APPLICATION_NAME
        )

    def enqueue(self, connection: Connection, *, workflow: str, queue: str, workflow_id: str, job_id: int) -> None:
        """Queue a job inside the transaction that writes its row: both become visible together, or neither.

        Args:
            connection: A connection inside a transaction on the same database.
            workflow: `EDGE_PACKAGING_WORKFLOW` or `COMPILATION_WORKFLOW`.
            queue: The queue its workers read.
            workflow_id: Unique id, also kept in the job's row.
            job_id: The job's row id, the workflow's one argument.
        """
        self._client.enqueue_in_transaction(
            connection,
            {
                "workflow_name": workflow,
                "queue_name": queue,
                "workflow_id": workflow_id,
                "app_version": APPLICATION_VERSION,
            },
            job_id,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.destroy()


def migrate_engine(url: str) -> None:
    """Create or migrate the engine's own tables; safe to repeat."""
    DBOS.migrate(url)


def new_executor_id() -> str:
    """An id no other worker has, on any machine, ever."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def engine_config(url: str, executor_id: str) -> DBOSConfig:
    """The configuration of a worker's engine."""
    return {
        "name": APPLICATION_NAME,
        "system_database_url": url,
        "executor_id": executor_id,
        "application_version": APPLICATION_VERSION,
        "serializer": DBOSPortableJSONSerializer(),
        "run_migrations": True,
        "enable_otlp": False,
        "console_log_level": "WARNING",
        "log_level": "WARNING",
    }


def pending_workflows() -> list[Any]:
    """Workflows that some worker is running, or was when it died."""
    return DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
