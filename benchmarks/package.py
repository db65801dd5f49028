"""How long `edgepack package` takes, and how much memory, against what it costs at the least and what others take.

Everything is measured in one run, in turn, on the same warm files: figures of different runs do not compare.

* floor: `openssl dgst -sha256` of the uncompressed tar: every byte must be hashed once, and SHA-256 is serial.
* inflate: `igzip -t`, or isal under Python where there is no igzip: every byte must be inflated once.
* copy: `cp` and `sync` of the compressed file: a package in a file must be written to disk once. `--out -`
  here throws it away: where an object store copies the model on its side, this cost is not there.
* tar + openssl: what one does without edgepack: `tar czf`, then `openssl dgst -sha256 -sign`.
* model_signing: `model_signing sign key` of the unpacked folder: hashes and signs, packs nothing.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from reporting import goal_line, heading, machine, say

MB = 1024 * 1024
BIN = Path(sys.executable).parent
HERE = Path(__file__).parent
KINDS = ("random", "float32")
SIZES = (64, 1024)
QUICK_SIZES = (64,)
ROUNDS = 3

COPIES = 6
"""Times the model's size that the benchmark needs on disk: folder, tar, gzip, package, a second archive, slack."""

FLOOR_GOAL = 1.5
"""Wall time of packaging 1 GB of incompressible weights over the floor, at most."""

TAR_GOAL = 15
"""Wall time of `tar czf` and openssl over that of packaging, for the same, at least."""

MEMORY_GOAL = 150
"""Peak resident MB of packaging, at any size."""

FLOOR, TAR = "openssl dgst -sha256 (floor)", "tar czf + openssl -sign"
EDGEPACK, PIPED = "edgepack package", "edgepack package --out -"

INFLATE = """
import sys
from isal import igzip_lib
inflater = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
with open(sys.argv[1], "rb", buffering=0) as file:
    while not inflater.eof:
        inflater.decompress(file.read(1 << 20) if inflater.needs_input else b"", 1 << 20)
"""


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


@dataclass(frozen=True)
class Measured:
    """Medians of one contender.

    Attributes:
        name: The contender.
        seconds: Wall time from start to end of the process.
        best_seconds: The shortest run: far below the median, something else kept the machine busy.
        cpu_seconds: User and system time, threads and children included.
        peak_mb: Peak resident MB of its largest process.
        runs: Number of runs.
    """

    name: str
    seconds: float
    best_seconds: float
    cpu_seconds: float
    peak_mb: float
    runs: int


def contenders() -> list[Contender]:
    """What is measured, in the order of the table."""
    edgepack = (str(BIN / "edgepack"), "package", "model.tar.gz", "--name", "model", "--version", "1.0")
    igzip = shutil.which("igzip")
    inflate = (igzip, "-t", "model.tar.gz") if igzip else (sys.executable, "-c", INFLATE, "model.tar.gz")
    tar = "tar czf baseline.tar.gz -C model . && openssl dgst -sha256 -sign key.pem -out baseline.sig baseline.tar.gz"
    copy = "cp model.tar.gz copy.tar.gz && sync copy.tar.gz"
    sign = (str(BIN / "model_signing"), "sign", "key", "model", "--private_key", "key.pem", "--signature", "model.sig")
    return [
        Contender(FLOOR, ("openssl", "dgst", "-sha256", "model.tar")),
        Contender(EDGEPACK, (*edgepack, "--out", "package.tar.gz", "--data", "data"), ("package.tar.gz",)),
        Contender(PIPED, (*edgepack, "--out", "-", "--data", "data")),
        Contender("cp + sync", ("sh", "-c", copy), ("copy.tar.gz",)),
        Contender("igzip -t" if igzip else "isal inflate", inflate),
        Contender(TAR, ("sh", "-c", tar), ("baseline.tar.gz", "baseline.sig"), slow=True),
        Contender("model_signing sign", sign, ("model.sig",), slow=True),
    ]


def run_once(contender: Contender, folder: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MB of one run."""
    with (folder / "output.log").open("wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen(contender.command, cwd=folder, stdout=subprocess.DEVNULL, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{contender.name} failed:\n{(folder / 'output.log').read_text(errors='replace')}")
    for name in contender.leaves:
        (folder / name).unlink()
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(folder: Path, rounds: int) -> list[Measured]:
    """Run every contender in turn, `rounds` times, and take medians."""
    measured: dict[str, list[tuple[float, float, float]]] = {}
    everyone = contenders()
    for contender in everyone:
        if contender.name == EDGEPACK:
            run_once(contender, folder)  # makes the signing keys, and compiles what Python has not compiled yet
    for number in range(rounds):
        for contender in everyone:
            if contender.slow and number:
                continue
            os.sync()
            measured.setdefault(contender.name, []).append(run_once(contender, folder))
            say(f"  {contender.name}: {measured[contender.name][-1][0]:.2f} s")
    return [
        Measured(name, statistics.median(wall), min(wall), statistics.median(cpu), statistics.median(peak), len(wall))
        for name, (wall, cpu, peak) in ((name, tuple(zip(*runs, strict=True))) for name, runs in measured.items())
    ]


@contextmanager
def model(parent: Path, kind: str, megabytes: int) -> Iterator[Path]:
    """A folder with a model and a key in it, removed at the end."""
    needed = megabytes * MB * COPIES
    if shutil.disk_usage(parent).free < needed:
        raise SystemExit(f"{parent} needs {needed // MB} MB free; choose another folder with --dir")
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-", dir=parent) as name:
        maker = [sys.executable, str(HERE / "package_inputs.py"), name, kind, str(megabytes * MB)]
        subprocess.run(maker, check=True)
        key = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}/key.pem"]
        subprocess.run(key, check=True)
        yield Path(name)


def table(results: Sequence[Measured]) -> str:
    """One model's figures as Markdown."""
    floor, edgepack = _named(results, FLOOR).seconds, _named(results, EDGEPACK).seconds
    lines = [
        "| | seconds | best | x floor | x edgepack | CPU s | peak MB | runs |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {one.name} | {one.seconds:.2f} | {one.best_seconds:.2f} | {one.seconds / floor:.2f} "
        f"| {one.seconds / edgepack:.2f} | {one.cpu_seconds:.2f} | {one.peak_mb:.0f} | {one.runs} |"
        for one in results
    ]
    return "\n".join(lines)


def goals(kind: str, megabytes: int, results: Sequence[Measured]) -> list[str]:
    """Which goals the figures meet, a line each."""
    floor, edgepack, piped, tar = (_named(results, name) for name in (FLOOR, EDGEPACK, PIPED, TAR))
    lines = [
        goal_line("peak memory, at most", edgepack.peak_mb, MEMORY_GOAL, "MB", met=edgepack.peak_mb <= MEMORY_GOAL)
    ]
    if kind == "random" and megabytes >= 1024:
        for how, one in (
            ("to standard output, thrown away", piped),
            ("in a file, which must be on the disk", edgepack),
        ):
            ratio = one.seconds / floor.seconds
            lines.append(goal_line(f"{how}: over the floor, at most", ratio, FLOOR_GOAL, "x", met=ratio <= FLOOR_GOAL))
        gain = tar.seconds / edgepack.seconds
        lines.append(goal_line("faster than tar + openssl, at least", gain, TAR_GOAL, "x", met=gain >= TAR_GOAL))
    return lines


def _named(results: Sequence[Measured], name: str) -> Measured:
    return next(one for one in results if one.name == name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="64 MB only, one round")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="MB", help=f"default {SIZES}")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="where models are made meanwhile")
    parser.add_argument("--json", action="store_true", help="print JSON in place of Markdown")
    arguments = parser.parse_args()
    sizes = arguments.sizes or (QUICK_SIZES if arguments.quick else SIZES)
    rounds = arguments.rounds or (1 if arguments.quick else ROUNDS)

    report: list[dict[str, object]] = []
    if not arguments.json:
        print(heading("Packaging"))
    for megabytes in sizes:
        for kind in arguments.kinds:
            say(f"{kind}, {megabytes} MB")
            with model(arguments.dir, kind, megabytes) as folder:
                results = measure(folder, rounds)
            report.append({"kind": kind, "megabytes": megabytes, "results": [asdict(one) for one in results]})
            if not arguments.json:
                print(f"\n## {megabytes} MB of {kind} weights\n\n{table(results)}\n")
                print("\n".join(goals(kind, megabytes, results)), flush=True)
    if arguments.json:
        print(json.dumps({"machine": machine(), "measured": report}, indent=2))


if __name__ == "__main__":
    main()
