"""How often workers ask for work: all of them together at a steady rate, whatever their number.

A queue that is asked by very many workers is a load on the database even when it is empty; one that is asked rarely
keeps jobs waiting. What counts for a job that has just been created is how often *somebody* asks. For jobs that wait
behind others, it is how soon the worker asks again that has just become free.
"""

from typing import Final

IDLE_RATE: Final = 20.0
"""Times a second that a queue is asked in which no job waits, by all workers together."""
IDLE_SECONDS: Final = (0.3, 2.0)
"""How long one worker may pause there: asking takes it about a millisecond of its processor; and whoever is the only
free one among many busy workers is to find a new job soon."""

BUSY_RATE: Final = 200.0
"""The same while jobs wait. Only workers that are free look for a job; the others merely look at the queue's row."""
BUSY_SECONDS: Final = (0.05, 1.0)
"""The pause between two jobs is half of it on average."""


def polling_seconds(*, workers: int, waiting: bool) -> float:
    """How long each worker pauses before it asks a queue again, in seconds.

    Args:
        workers: Workers that live.
        waiting: Whether jobs wait for one of them.
    """
    rate, (shortest, longest) = (BUSY_RATE, BUSY_SECONDS) if waiting else (IDLE_RATE, IDLE_SECONDS)
    return min(max(shortest, workers / rate), longest)
