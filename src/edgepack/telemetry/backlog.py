"""The jobs that have not ended and the workers, at one moment: what the database tells `/metrics`."""

from collections.abc import Mapping

import msgspec


class Backlog(msgspec.Struct, frozen=True):
    """The jobs that have not ended, and the workers.

    Attributes:
        jobs: How many there are by kind and status; every status that is not final is there.
        waiting: How many wait for a worker, by kind.
        oldest_seconds: How long the one that waits longest has waited, by kind; 0 if none waits.
        workers: Workers that have been heard of.
    """

    jobs: Mapping[tuple[str, str], int]
    waiting: Mapping[str, int]
    oldest_seconds: Mapping[str, float]
    workers: int
