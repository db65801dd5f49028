"""Retention: forgetting jobs that ended long ago. What they wrote to the store, and published, stays where it is."""

from collections.abc import Callable, Iterator
from typing import Any

from edgepack.database import outputs, tags
from edgepack.database.compilation_jobs import compilation_jobs
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.jobs import JobTable
from edgepack.jobs import compilation, edge_packaging
from edgepack.jobs.lifecycle import FINAL
from edgepack.objects.address import S3Address

JOBS_AT_ONCE = 200
"""Jobs forgotten in one transaction: a running server's own writes wait no longer for it than for another one's."""

Kind = tuple[str, JobTable[Any], Callable[[Any], S3Address]]

KINDS: tuple[Kind, ...] = (
    ("edge packaging job", edge_packaging_jobs, edge_packaging.target_of),
    ("compilation job", compilation_jobs, lambda job: compilation.target_of(job.request)),
)
"""What they are called in the singular, their table, and where each wrote."""


def prune(database: Database, *, before: int, dry_run: bool) -> dict[str, int]:
    """Forget jobs that ended before a time, with their tags.

    Safe beside a running server, and to be stopped at any moment: what is forgotten by then is forgotten.

    Args:
        database: Where jobs are.
        before: Microseconds since the epoch. A job ended when it was last changed.
        dry_run: Only count them.

    Returns:
        How many of each kind.

    Raises:
        DatabaseUnavailableError: The database failed; some may be forgotten already.
    """
    if dry_run:
        with database.read() as connection:
            return {
                kind: jobs.count_unchanged_since(connection, before=before, statuses=FINAL) for kind, jobs, _ in KINDS
            }
    return {kind: sum(_forgotten(database, jobs, target, before)) for kind, jobs, target in KINDS}


def _forgotten(
    database: Database, jobs: JobTable[Any], target: Callable[[Any], S3Address], before: int
) -> Iterator[int]:
    """Forget batch by batch, telling how many each was."""
    with database.read() as connection:
        accounts = jobs.accounts(connection)
    for account in accounts:
        while True:
            with database.write() as connection:
                old = jobs.unchanged_since(connection, account, before=before, statuses=FINAL, limit=JOBS_AT_ONCE)
                for job in old:
                    jobs.delete(connection, job.id, expected=FINAL)
                    tags.remove_all(connection, job.arn)
                    outputs.forget(connection, target(job).place, job.arn)
            yield len(old)
            if len(old) < JOBS_AT_ONCE:
                break
