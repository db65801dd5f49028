"""The tables and goals of the packaging benchmark."""

from collections.abc import Sequence

from floors import HASHING, INFLATING, floor_of
from measuring import Measured
from package_contenders import EDGEPACK, FRAME, PIPED, TAR, VERIFY
from reporting import goal_line, memory_goal_line

LARGE_MB = 1024
"""Size of a model from which on its time is measured against the floor; below, Python's start is most of it."""

FRAME_GOAL = 1.15
"""Wall time of scanning, signing and framing over that of the floor, at most."""

FILE_GOALS = {"random": 1.5, "float32": 1.3, "small": 1.3}
"""Wall time of packaging into a file that is on the disk over that of the floor, at most, for each kind."""

VERIFY_GOAL = 1.2
"""Wall time of verifying over that of the floor, at most."""

TAR_GOAL = 15
"""Wall time of `tar czf` and openssl over that of packaging into a file, at least; where the floor allows as much."""

START_GOAL = 0.15
"""Seconds that a command with nothing to do takes, at most."""


def table(kind: str, results: Sequence[Measured]) -> str:
    """One model's figures as Markdown."""
    floors = {name: named(results, name).seconds for name in (HASHING, INFLATING)}
    columns = " | ".join(f"x {name}{' (floor)' if name == floor_of(kind) else ''}" for name in floors)
    lines = [f"| | seconds | best | {columns} | CPU s | peak MB | runs |", "|---|--:|--:|--:|--:|--:|--:|--:|"]
    for one in results:
        ratios = " | ".join(f"{one.seconds / seconds:.2f}" for seconds in floors.values())
        lines.append(
            f"| {one.name} | {one.seconds:.2f} | {one.best_seconds:.2f} | {ratios} "
            f"| {one.cpu_seconds:.2f} | {one.peak_mb:.0f} | {one.runs} |"
        )
    return "\n".join(lines)


def goals(kind: str, megabytes: int, results: Sequence[Measured]) -> list[str]:
    """Which goals the figures of one model meet, a line each."""
    peak = max(named(results, name).peak_mb for name in (FRAME, EDGEPACK, PIPED, VERIFY))
    lines = [memory_goal_line("peak memory", peak)]
    return lines + speed_goals(kind, results) if megabytes >= LARGE_MB else lines


def speed_goals(kind: str, results: Sequence[Measured]) -> list[str]:
    """The same for time."""
    floor = named(results, floor_of(kind)).seconds
    lines = []
    for name, goal in ((FRAME, FRAME_GOAL), (EDGEPACK, FILE_GOALS[kind]), (VERIFY, VERIFY_GOAL)):
        ratio = named(results, name).seconds / floor
        lines.append(goal_line(f"{name}: over {floor_of(kind)}, at most", ratio, goal, "x", met=ratio <= goal))
    return [*lines, tar_goal(kind, results)]


def tar_goal(kind: str, results: Sequence[Measured]) -> str:
    """Whether packaging is so much faster than doing it by hand.

    Where not even the floor is, no program that looks into the archive could be: that is told in the goal's place.
    """
    by_hand = named(results, TAR).seconds
    gain, at_most = by_hand / named(results, EDGEPACK).seconds, by_hand / named(results, floor_of(kind)).seconds
    if at_most < TAR_GOAL:
        return f"- faster than {TAR}: {gain:.2f} x; {floor_of(kind)} alone would be {at_most:.2f} x"
    return goal_line(f"faster than {TAR}, at least", gain, TAR_GOAL, "x", met=gain >= TAR_GOAL)


def start_goal(result: Measured) -> str:
    """Whether the command starts quickly enough."""
    return goal_line(f"{result.name}, at most", result.seconds, START_GOAL, "s", met=result.seconds <= START_GOAL)


def named(results: Sequence[Measured], name: str) -> Measured:
    """The result of that name."""
    return next(one for one in results if one.name == name)
