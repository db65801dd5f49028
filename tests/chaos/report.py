"""How much is to happen in a run, and what came of it."""

from collections import Counter
from dataclasses import dataclass

from chaos.recovery import Recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is to happen.

    Attributes:
        jobs: Jobs that are created, beside the poison.
        workers: Worker processes at any time; every other one reaches the store through bad weather.
        deeds: Things that are done to them and to the database.
        seconds: During which all that begins.
    """

    jobs: int
    workers: int
    deeds: int
    seconds: float


@dataclass(kw_only=True)
class Report:
    """What came of a run."""

    seed: int
    size: Size
    statuses: Counter[str]
    deeds: Counter[str]
    weather: Counter[str]
    recovered: list[Recovery]
    violations: list[str]
    seconds: float

    @property
    def slowest(self) -> float:
        """The longest time in seconds from a worker's death to the next attempt at its job."""
        return max((recovery.seconds for recovery in self.recovered), default=0.0)

    def __str__(self) -> str:
        def table(counts: Counter[str]) -> str:
            return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"

        return "\n".join(
            (
                f"seed {self.seed}: {self.size.jobs} jobs, {self.size.workers} workers, {self.seconds:.0f} s",
                f"  jobs by status     {table(self.statuses)}",
                f"  done to workers    {table(self.deeds)}",
                f"  on the way to S3   {table(self.weather)}",
                f"  taken over         {len(self.recovered)}, the slowest after {self.slowest:.1f} s",
                *(f"  VIOLATED           {violation}" for violation in self.violations),
            )
        )
