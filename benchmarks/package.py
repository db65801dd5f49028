"""How long `edgepack package` and `edgepack verify` take, against what they cost at the least and what others take.

Everything is measured in one run, in turn, on the same warm files: figures of different runs do not compare. What the
models are is told in package_inputs.py, what the floors are in floors.py.

* scan, sign, frame: what a worker does while the object store copies the model on its side; nothing of the model is
  written (frame.py).
* edgepack package: the whole new file, which must be on the disk; `--out -` throws it away here.
* cp + sync: of the compressed file: a package in a file must be written once.
* tar + openssl: what one does without edgepack: `tar czf`, then `openssl dgst -sha256 -sign`.
* model_signing: `model_signing sign key` of the unpacked folder: hashes and signs, packs nothing.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from floors import KINDS
from measuring import Measured, run_in_turn
from package_contenders import contenders, prepare, starting
from package_goals import goals, start_goal, table
from reporting import heading, machine, say

MB = 1024 * 1024
INPUTS = Path(__file__).with_name("package_inputs.py")
SIZES = (64, 1024)
QUICK_SIZES = (64,)
ROUNDS = 3
STARTS = 15

COPIES = 7
"""Times the model's size that the benchmark needs on disk: folder, tar, gzip, two packages, a second archive, slack."""


@contextmanager
def model(parent: Path, kind: str, megabytes: int) -> Iterator[Path]:
    """A folder with a model, ready to be measured with; removed at the end."""
    needed = megabytes * MB * COPIES
    if shutil.disk_usage(parent).free < needed:
        raise SystemExit(f"{parent} needs {needed // MB} MB free; choose another folder with --dir")
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-", dir=parent) as name:
        subprocess.run([sys.executable, str(INPUTS), name, kind, str(megabytes * MB)], check=True)
        prepare(Path(name))
        yield Path(name)


def start_up(parent: Path) -> list[Measured]:
    """Start the commands some times."""
    say("starting")
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-", dir=parent) as name:
        folder = Path(name)
        (folder / "byte").write_bytes(b"1")
        subprocess.run(["tar", "czf", "model.tar.gz", "byte"], cwd=folder, check=True)
        prepare(folder)
        return run_in_turn(starting(), folder, STARTS)


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
                results = run_in_turn(contenders(), folder, rounds)
            report.append({"kind": kind, "megabytes": megabytes, "results": [asdict(one) for one in results]})
            if not arguments.json:
                print(f"\n## {megabytes} MB, {kind}\n\n{table(kind, results)}\n")
                print("\n".join(goals(kind, megabytes, results)), flush=True)
    started = start_up(arguments.dir)
    if arguments.json:
        print(
            json.dumps({"machine": machine(), "measured": report, "start": [asdict(one) for one in started]}, indent=2)
        )
    else:
        lines = "\n".join(start_goal(one) for one in started)
        print(f"\n## Start-up, medians of {STARTS}\n\n{lines}", flush=True)


if __name__ == "__main__":
    main()
