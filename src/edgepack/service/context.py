"""What every operation works with."""

from collections.abc import Callable
from dataclasses import dataclass

from edgepack.database.engine import Database
from edgepack.jobs.engine import WorkQueue
from edgepack.keys.sealing import SecretBox

ACTIVE_JOBS_MAX = 1_000
"""Jobs of one kind that an account may have waiting or running: a loop gone wild fills one account's share, no more."""


@dataclass(frozen=True, slots=True)
class Context:
    """The service's means; each operation takes what it needs.

    Attributes:
        database: Where everything is remembered.
        work: Queues jobs for the workers.
        secrets: Seals and unseals what must not be read or forged: access keys' secrets, pagination tokens.
        region: The region of this server's ARNs.
        clock: Microseconds since the epoch.
        active_jobs_max: Jobs of one kind that an account may have waiting or running.
    """

    database: Database
    work: WorkQueue
    secrets: SecretBox
    region: str
    clock: Callable[[], int]
    active_jobs_max: int = ACTIVE_JOBS_MAX
