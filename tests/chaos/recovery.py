"""How long the jobs of dead workers waited for somebody to take them over."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaos.engine_rows import RunningJob
from chaos.ledger import Entry
from chaos.monkey import FREEZE, Death
from edgepack.jobs.lifecycle import FINAL

PROMISED_SECONDS = 15.0
"""From a worker's death to the next attempt at its job."""

IN_FLIGHT_SECONDS = 1.0
"""A change that a worker had sent when it died may be made a little later."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """A job that was taken over.

    Attributes:
        seconds: From the death, or from the end of an outage of the database after it, to the next attempt.
    """

    death: Death
    job: RunningJob
    seconds: float


def recoveries(
    deaths: Iterable[Death], entries: Sequence[Entry], outages: Sequence[tuple[float, float]]
) -> tuple[list[Recovery], list[str]]:
    """Every recovery, and what is wrong: jobs that waited too long, or for ever."""
    found, wrong = [], []
    for death in deaths:
        for job in death.jobs:
            history = [entry for entry in entries if (entry.kind, entry.name) == (job.kind, job.name)]
            recovery = _recovery(death, job, history, outages)
            if recovery is not None:
                found.append(recovery)
                if recovery.seconds > PROMISED_SECONDS:
                    wrong.append(f"taken over after {recovery.seconds:.1f} s: {job}, {death}")
            elif not _ended_by_itself(death, history):
                wrong.append(f"never taken over: {job}, {death}")
    return found, wrong


def _recovery(
    death: Death, job: RunningJob, history: Sequence[Entry], outages: Sequence[tuple[float, float]]
) -> Recovery | None:
    taken = next((entry.at for entry in history if entry.attempt > job.attempt), None)
    if taken is None:
        return None
    since = max([death.at, *(end for begin, end in outages if begin <= taken and end >= death.at)])
    return Recovery(death, job, max(0.0, taken - since))


def _ended_by_itself(death: Death, history: Sequence[Entry]) -> bool:
    """A frozen worker goes on when it is thawed, and a job may have been stopped that nobody had begun."""
    end = next((entry for entry in history if entry.after in FINAL), None)
    if end is None:
        return False
    return death.deed == FREEZE or end.before == "STARTING" or end.at <= death.at + IN_FLIGHT_SECONDS
