"""Draws the figures of memory.py as SVG: the same figures give the same bytes.

The background is part of the picture, so that it can be read on light and on dark pages.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

MB_PER_GB = 1024
PACKAGE_COLOUR, VERIFY_COLOUR, GOAL_COLOUR = "#0b5fa5", "#b3541e", "#5b6470"
STYLE = {
    "svg.hashsalt": "edgepack",  # or ids would be random
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
}


def draw(figures: dict[str, Any], target: Path) -> None:
    """Draw both series into one SVG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), facecolor="white", layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        panel(left, figures["megabytes"], figures["goal_mb"], scale=MB_PER_GB)
        panel(right, figures["members"], figures["goal_mb"], scale=1000)
        left.set(xlabel="model in GB, in 8 files", ylabel="peak resident memory in MB", ylim=(0, None))
        right.set(xlabel="files in thousands, of 64 bytes each")
        left.legend(frameon=False, loc="upper left")
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})


def panel(axes: Any, peaks: list[dict[str, float]], goal: float, *, scale: int) -> None:
    """One series of models: two lines and the goal."""
    sizes = [one["size"] / scale for one in peaks]
    axes.plot(sizes, [one["package"] for one in peaks], "o-", color=PACKAGE_COLOUR, label="edgepack package")
    axes.plot(sizes, [one["verify"] for one in peaks], "s-", color=VERIFY_COLOUR, label="edgepack verify")
    axes.axhline(goal, color=GOAL_COLOUR, linestyle="--", label=f"goal, {goal:.0f} MB")
    axes.set_xlim(left=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    draw(json.loads(arguments.figures.read_text()), arguments.target)
