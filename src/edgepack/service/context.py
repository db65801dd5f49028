"""What every operation works with."""

from collections.abc import Callable
from dataclasses import dataclass

from edgepack.database.engine import Database
from edgepack.jobs.engine import WorkQueue
from edgepack.keys.sealing import SecretBox


@dataclass(frozen=True, slots=True)
class Context:
    """The service's means; each operation takes what it needs.

    Attributes:
        database: Where everything is remembered.
        work: Queues jobs for the workers.
        secrets: Seals and unseals what must not be read or forged: access keys' secrets, pagination tokens.
        region: The region of this server's ARNs.
        clock: Microseconds since the epoch.
    """

    database: Database
    work: WorkQueue
    secrets: SecretBox
    region: str
    clock: Callable[[], int]
