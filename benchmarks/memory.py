"""How much memory `edgepack package` and `edgepack verify` need as models grow, in bytes and in members.

Each is run as a process of its own, a few times; the highest peak of its resident memory counts. The figures go to
docs/plots/memory.json, and a plot of them beside it, drawn by a program of its own (plot_memory.py).

8 GB of model take 17 GB of disk; each model is removed before the next one is made.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from measuring import Contender, run_once
from reporting import MEMORY_GOAL, heading, machine, memory_goal_line, say

ROOT = Path(__file__).parents[1]
INPUTS = Path(__file__).with_name("memory_inputs.py")
PLOTTER = (ROOT / ".venvs" / "plots" / "bin" / "python", Path(__file__).with_name("plot_memory.py"))
FIGURES, PLOT = ROOT / "docs" / "plots" / "memory.json", ROOT / "docs" / "plots" / "memory.svg"
EDGEPACK = str(Path(sys.executable).parent / "edgepack")

MB = 1024 * 1024
MEGABYTES, QUICK_MEGABYTES = (64, 256, 1024, 4096, 8192), (64, 256)
MEMBERS, QUICK_MEMBERS = (1_000, 10_000, 30_000, 65_000, 100_000, 200_000), (1_000, 10_000)
ROUNDS, QUICK_ROUNDS = 3, 1

GOAL_MEGABYTES, GOAL_MEMBERS = 8192, 100_000
"""Up to which size of model `MEMORY_GOAL` holds."""

MEMBER_BYTES = 2048
"""Bytes on disk for a tiny file in artifact and package, at most."""

PACKAGE = Contender(
    "package",
    (EDGEPACK, "package", "model.tar.gz", "--name", "m", "--version", "1", "--data", "data", "--out", "package.tar.gz"),
)
VERIFY = Contender("verify", (EDGEPACK, "verify", "package.tar.gz", "--trust", "data/keys/root.pem"))


@dataclass(frozen=True)
class Peaks:
    """Peak resident MB for one model.

    Attributes:
        size: MB of the model, or its members.
        package: Of `edgepack package`, into a file.
        verify: Of `edgepack verify`.
    """

    size: int
    package: float
    verify: float


def measure(parent: Path, flag: str, size: int, rounds: int) -> Peaks:
    """Make one model, package and verify it some times, and remove it.

    Args:
        parent: Where there is room.
        flag: What `size` is, as memory_inputs.py names it.
        size: The size.
        rounds: How often.
    """
    needed = 2 * size * (MEMBER_BYTES if flag == "--members" else MB) + 512 * MB
    if shutil.disk_usage(parent).free < needed:
        raise SystemExit(f"{parent} needs {needed // MB} MB free; choose another folder with --dir")
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-", dir=parent) as name:
        folder = Path(name)
        subprocess.run([sys.executable, str(INPUTS), str(folder / "model.tar.gz"), flag, str(size)], check=True)
        runs = [(run_once(PACKAGE, folder).peak_mb, run_once(VERIFY, folder).peak_mb) for _ in range(rounds)]
    package, verify = (round(max(peaks), 1) for peaks in zip(*runs, strict=True))
    say(f"  {flag[2:]} {size}: package {package} MB, verify {verify} MB")
    return Peaks(size, package, verify)


def table(unit: str, peaks: Sequence[Peaks]) -> str:
    """One series as Markdown."""
    lines = [f"| {unit} | package: peak MB | verify: peak MB |", "|--:|--:|--:|"]
    return "\n".join([*lines, *(f"| {one.size:,} | {one.package:.0f} | {one.verify:.0f} |" for one in peaks)])


def goal(unit: str, up_to: int, peaks: Sequence[Peaks]) -> str:
    """Whether everything up to a size stays below the goal."""
    measured = [one for one in peaks if one.size <= up_to]
    highest = max(peak for one in measured for peak in (one.package, one.verify))
    return memory_goal_line(f"highest peak up to {max(one.size for one in measured):,} {unit}", highest)


def draw(figures: dict[str, object], path: Path, plot: Path) -> None:
    """Write the figures down and draw them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
    subprocess.run([*map(str, PLOTTER), str(path), str(plot)], check=True)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small models only, one round, no plot")
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="where models are made meanwhile")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    sizes, counts = (QUICK_MEGABYTES, QUICK_MEMBERS) if arguments.quick else (MEGABYTES, MEMBERS)

    say("memory")
    by_bytes = [measure(arguments.dir, "--megabytes", size, rounds) for size in sizes]
    by_members = [measure(arguments.dir, "--members", count, rounds) for count in counts]
    print(heading("Memory"))
    for unit, up_to, peaks in (("MB", GOAL_MEGABYTES, by_bytes), ("members", GOAL_MEMBERS, by_members)):
        print(f"\n## By {unit}\n\n{table(unit, peaks)}\n\n{goal(unit, up_to, peaks)}", flush=True)
    if not arguments.quick:
        draw(
            {
                "machine": machine(),
                "goal_mb": MEMORY_GOAL,
                "megabytes": [asdict(one) for one in by_bytes],
                "members": [asdict(one) for one in by_members],
            },
            FIGURES,
            PLOT,
        )


if __name__ == "__main__":
    main()
