"""What the benchmarks' reports have in common."""

import os
import platform
import subprocess
import sys
from pathlib import Path


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
