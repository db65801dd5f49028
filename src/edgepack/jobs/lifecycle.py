"""The life of a job as rules, for edge packaging jobs and compilation jobs alike.

    STARTING ─→ INPROGRESS ─→ COMPLETED | FAILED
        │            └─→ STOPPING ─→ STOPPED
        └─→ STOPPED | FAILED

Every change is one conditional update that names the statuses it may come from, so of two that race one wins and the
other changes nothing. STARTING means that no worker has touched the job: it can be stopped at once.
"""

from collections.abc import Mapping
from typing import Final

STARTING: Final = "STARTING"
INPROGRESS: Final = "INPROGRESS"
COMPLETED: Final = "COMPLETED"
FAILED: Final = "FAILED"
STOPPING: Final = "STOPPING"
STOPPED: Final = "STOPPED"

NEXT: Mapping[str, frozenset[str]] = {
    STARTING: frozenset({INPROGRESS, STOPPED, FAILED}),
    INPROGRESS: frozenset({INPROGRESS, COMPLETED, FAILED, STOPPING}),
    STOPPING: frozenset({STOPPED}),
    COMPLETED: frozenset(),
    FAILED: frozenset(),
    STOPPED: frozenset(),
}
"""The statuses that may follow each; INPROGRESS follows itself when a dead worker's job is taken over."""

FINAL: frozenset[str] = frozenset(status for status, following in NEXT.items() if not following)
ACTIVE: frozenset[str] = frozenset(NEXT) - FINAL

MAX_DEATHS = 3
"""Workers that may die on one job. A job that has killed three is the cause, not the victim: it fails alone."""


def may_become(status: str) -> frozenset[str]:
    """The statuses from which a job may become `status`."""
    return frozenset(earlier for earlier, following in NEXT.items() if status in following)


def stop_target(status: str) -> str | None:
    """What a Stop request turns a job of this status into; None when it has ended or is already stopping."""
    return {STARTING: STOPPED, INPROGRESS: STOPPING}.get(status)
