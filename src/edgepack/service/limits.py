"""What one account may have at a time."""

from typing import Any

from sqlalchemy.engine import Connection

from edgepack.database.jobs import JobTable
from edgepack.errors import ResourceLimitExceededError
from edgepack.jobs.lifecycle import ACTIVE


def require_room(connection: Connection, jobs: JobTable[Any], account_id: str, *, kind: str, at_most: int) -> None:
    """Refuse another job of an account that has its share waiting or running.

    Args:
        connection: A connection inside the transaction that adds the job.
        jobs: The kind of jobs.
        account_id: Whose.
        kind: What they are called, in the singular.
        at_most: The account's share.

    Raises:
        ResourceLimitExceededError: The share is used up.
    """
    if jobs.count(connection, account_id, ACTIVE) >= at_most:
        raise ResourceLimitExceededError(
            f"Account {account_id} has {at_most} {kind}s waiting or running, which is the limit.",
            advice="Wait until some have ended, or stop them.",
        )
