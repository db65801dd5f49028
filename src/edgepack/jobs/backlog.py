"""What waits and who is there to do it, as `/metrics` tells it."""

from edgepack.database import executors
from edgepack.database.backlog import count_by_status, oldest_seconds
from edgepack.database.engine import Database
from edgepack.database.schema import compilation_jobs, edge_packaging_jobs
from edgepack.jobs.lifecycle import ACTIVE, STARTING
from edgepack.jobs.reaper import SILENCE_MICROSECONDS
from edgepack.telemetry.backlog import Backlog

TABLES = {"compilation": compilation_jobs, "edge_packaging": edge_packaging_jobs}
"""The jobs' tables by kind."""


def read_backlog(database: Database) -> Backlog:
    """Read it; the cost is that of the jobs that have not ended.

    Raises:
        DatabaseUnavailableError: The database cannot be reached.
    """
    with database.read() as connection:
        counts = {kind: count_by_status(connection, table, ACTIVE) for kind, table in TABLES.items()}
        oldest = {kind: oldest_seconds(connection, table, STARTING) for kind, table in TABLES.items()}
        workers = len(executors.alive(connection, within=SILENCE_MICROSECONDS))
    return Backlog(
        jobs={(kind, status): count for kind, found in counts.items() for status, count in found.items()},
        waiting={kind: found[STARTING] for kind, found in counts.items()},
        oldest_seconds=oldest,
        workers=workers,
    )
