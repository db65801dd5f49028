"""What the benchmarks' reports have in common."""

import os
import platform
import subprocess
import sys
from pathlib import Path

MEMORY_GOAL = 150
"""Peak resident MB of every process of edgepack's that handles packages, at any size."""


def say(text: str) -> None:
    """Tell how far a benchmark is, on standard error: the report alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def machine() -> dict[str, str | int | None]:
    """What the figures were measured on."""
    openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.strip()
    processor = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {"processor": processor, "cores": os.cpu_count(), "python": platform.python_version(), "openssl": openssl}


def heading(title: str) -> str:
    """The report's first lines: its title, and the machine."""
    return f"# {title}\n\n" + ", ".join(f"{key}: {value}" for key, value in machine().items())


def goal_line(what: str, value: float, goal: float, unit: str, *, met: bool) -> str:
    """One goal and whether it is met."""
    return f"- {what}: {value:.2f} {unit}, goal {goal} {unit}: {'met' if met else 'MISSED'}"


def memory_goal_line(what: str, peak_mb: float) -> str:
    """Whether a peak of resident memory meets its goal."""
    return goal_line(f"{what}, at most", peak_mb, MEMORY_GOAL, "MB", met=peak_mb <= MEMORY_GOAL)
