"""Running programs and measuring them: in turn, each as a process of its own, so that its start is in the time."""

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from reporting import say


@dataclass(frozen=True)
class Contender:
    """Something to measure.

    Attributes:
        name: In the table.
        command: Run in the model's folder.
        leaves: Files it makes there, removed after each run.
        slow: Measured once whatever the number of rounds.
    """

    name: str
    command: tuple[str, ...]
    leaves: tuple[str, ...] = ()
    slow: bool = False


class Run(NamedTuple):
    """One run.

    Attributes:
        seconds: Wall time from start to end of the process.
        cpu_seconds: User and system time, threads and children included.
        peak_mb: Peak resident MB of its largest process. What this very process holds is the least that can be
            measured: Linux counts it for a program that is started, so it must not import anything large.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Measured:
    """Medians of one contender; `Run` has what they are of.

    Attributes:
        best_seconds: The shortest run: far below the median, something else kept the machine busy.
        runs: Number of runs.
    """

    name: str
    seconds: float
    best_seconds: float
    cpu_seconds: float
    peak_mb: float
    runs: int


def environment() -> dict[str, str]:
    """The environment without what steers Python, so that a user's start is measured.

    Automation often asks for unbuffered output, and for modules that are compiled anew at each start.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run_once(contender: Contender, folder: Path) -> Run:
    """Run a contender and remove what it leaves."""
    log = folder / "output.log"
    with log.open("wb") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            contender.command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{contender.name} failed:\n{log.read_text(errors='replace')}")
    for name in contender.leaves:
        (folder / name).unlink()
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def run_in_turn(contenders: Sequence[Contender], folder: Path, rounds: int) -> list[Measured]:
    """Run every contender in turn, `rounds` times, and take medians."""
    runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            if contender.slow and number:
                continue
            os.sync()
            run = run_once(contender, folder)
            runs[contender.name].append(run)
            say(f"  {contender.name}: {run.seconds:.2f} s")
    return [summary(name, each) for name, each in runs.items()]


def summary(name: str, runs: Sequence[Run]) -> Measured:
    """The medians of one contender's runs."""
    seconds, cpu_seconds, peak_mb = zip(*runs, strict=True)
    return Measured(
        name=name,
        seconds=statistics.median(seconds),
        best_seconds=min(seconds),
        cpu_seconds=statistics.median(cpu_seconds),
        peak_mb=statistics.median(peak_mb),
        runs=len(runs),
    )


def peak_mb(process_id: int) -> float:
    """Peak resident MB of a process so far."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
