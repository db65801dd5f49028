"""The job engine's own rows, looked at from outside: who runs what."""

from dataclasses import dataclass

import sqlalchemy as sa

from chaos.ledger import KINDS
from edgepack.database.engine import Database

UNFINISHED = ("PENDING", "ENQUEUED", "DELAYED")
"""The engine's words for a workflow that somebody is still to end."""


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that has not ended, as a worker runs it."""

    kind: str
    name: str
    attempt: int
    deaths: int


def running_on(database: Database, pid: int) -> list[RunningJob]:
    """What the worker of that process id was given and has not ended."""
    workflows = _workflows(database)
    found = []
    with database.read() as connection:
        for kind in KINDS:
            query = sa.text(
                f"SELECT job.name, job.attempt, job.deaths FROM {kind} AS job "
                f"JOIN {workflows} AS workflow ON workflow.workflow_uuid = job.workflow_id "
                "WHERE workflow.status = 'PENDING' AND workflow.executor_id LIKE :executor "
                "AND job.status IN ('STARTING', 'INPROGRESS', 'STOPPING')"
            )
            rows = connection.execute(query, {"executor": f"%-{pid}-%"}).all()
            found += [RunningJob(kind, *row) for row in rows]
    return found


def runner_of(database: Database, name: str, *, deaths_below: int) -> int | None:
    """The process id of the worker that runs an edge packaging job which has not yet cost so many workers."""
    query = sa.text(
        "SELECT workflow.executor_id FROM edge_packaging_jobs AS job "
        f"JOIN {_workflows(database)} AS workflow ON workflow.workflow_uuid = job.workflow_id "
        "WHERE job.name = :name AND job.status = 'INPROGRESS' AND workflow.status = 'PENDING' AND job.deaths < :deaths"
    )
    with database.read() as connection:
        executor_id = connection.execute(query, {"name": name, "deaths": deaths_below}).scalar()
    return None if executor_id is None else int(executor_id.rsplit("-", 2)[1])


def unfinished(database: Database) -> list[tuple[str, str, str]]:
    """Workflows that nobody has ended: id, status, worker."""
    query = sa.text(f"SELECT workflow_uuid, status, executor_id FROM {_workflows(database)} WHERE status IN :statuses")
    with database.read() as connection:
        rows = connection.execute(
            query.bindparams(sa.bindparam("statuses", expanding=True)), {"statuses": list(UNFINISHED)}
        )
        return [(row[0], row[1], row[2]) for row in rows]


def _workflows(database: Database) -> str:
    return "workflow_status" if database.is_sqlite else "dbos.workflow_status"
