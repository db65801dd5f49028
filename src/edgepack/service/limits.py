"""What one account may have at a time, and when its jobs' turn comes."""

from typing import Any

from sqlalchemy.engine import Connection

from edgepack.database.accounts import lock_account
from edgepack.database.jobs import JobTable
from edgepack.errors import ResourceLimitExceededError
from edgepack.jobs.lifecycle import ACTIVE, STARTING


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
    lock_account(connection, account_id)
    if jobs.count(connection, account_id, ACTIVE) >= at_most:
        raise ResourceLimitExceededError(
            f"Account {account_id} has {at_most} {kind}s waiting or running, which is the limit.",
            advice="Wait until some have ended, or stop them.",
        )


def next_turn(connection: Connection, jobs: JobTable[Any], account_id: str) -> int:
    """When another job of an account is begun, among those that wait: see `JobTable.next_turn`."""
    return jobs.next_turn(connection, account_id, waiting={STARTING}, begun=ACTIVE - {STARTING})
