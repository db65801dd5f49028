"""How long jobs take through a real server and a real store, and how much memory their worker needs.

Everything is measured in one run, in turn: figures of different runs do not compare. The store is the embedded one; it
shares the machine's cores with the worker.

* floor: hashing or inflating every byte, whichever takes longer (floors.py).
* curl: one GET of the model from the store: every byte must be read once.
* curl + floor: the sum of the two, what one pass through the store is measured against.
* in one pass: the transfer of an edge packaging job without the service around it (transfer.py). The model is read
  once; *copied*: the store copies it on its side; *sent*: every byte is sent.
* store's copy: the store copies the model in parts, asked by boto3, and nothing else happens.
* compilation job: `{"compiler": "none"}`; the worker reads, checks and sends every byte.
* edge packaging job: the worker reads, hashes and signs; the store copies the model's bytes itself.

A job's time is from its creation to its last change, as Describe tells them, so waiting for a worker is in it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3.s3.transfer

from driving import BUCKET
from floors import COMMANDS, KINDS, floor_of
from harness import RunningServer, start_server
from job_runs import COMPILATION, PACKAGING, SOURCE, Run, command, job, one_pass, timed, worker_of
from reporting import heading, machine, memory_goal_line, say

MB = 1024 * 1024
INPUTS = Path(__file__).with_name("package_inputs.py")
SIZES, QUICK_SIZES = (64, 1024), (64,)
ROUNDS, QUICK_ROUNDS = 3, 1

SOURCE_KEY = SOURCE.removeprefix(f"s3://{BUCKET}/")
CURL, CURL_AND_FLOOR, COPY = "curl GET", "curl + floor", "store's copy"
COPIED, SENT = "in one pass: copied", "in one pass: sent"


def measure(server: RunningServer, folder: Path, kind: str, rounds: int) -> dict[str, list[Run]]:
    """Do everything in turn, `rounds` times."""
    s3, worker, floor = server.client("s3"), worker_of(server), floor_of(kind)
    once = boto3.s3.transfer.TransferConfig(preferred_transfer_client="classic")
    s3.upload_file(str(folder / "model.tar.gz"), BUCKET, SOURCE_KEY, Config=once)
    source = {"Bucket": BUCKET, "Key": SOURCE_KEY}
    url = s3.generate_presigned_url("get_object", Params=source)
    names = (floor, CURL, COPIED, SENT, COPY, COMPILATION, PACKAGING)
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for number in range(rounds):
        name = f"{folder.name}-{number}".replace("_", "-")
        runs[floor].append(command(*COMMANDS[floor], folder=folder))
        runs[CURL].append(command("curl", "--silent", "--fail", "--output", "/dev/null", url))
        runs[COPIED].append(one_pass(server, f"{name}-copied"))
        runs[SENT].append(one_pass(server, f"{name}-sent", "--send"))
        runs[COPY].append(timed(lambda: s3.copy(source, BUCKET, "copied", Config=once)))
        runs[COMPILATION].append(job(server, worker, COMPILATION, name, of=SOURCE))
        runs[PACKAGING].append(job(server, worker, PACKAGING, name, of=name))
        remove_results(s3)
        say("  " + ", ".join(f"{what}: {done[-1].seconds:.2f} s" for what, done in runs.items()))
    return runs


def remove_results(s3: Any) -> None:
    """Delete everything but the model."""
    for found in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        if found["Key"] != SOURCE_KEY:
            s3.delete_object(Bucket=BUCKET, Key=found["Key"])


def medians(runs: Sequence[Run]) -> Run:
    """The median of each figure."""
    return Run(*(statistics.median(figures) for figures in zip(*(asdict(run).values() for run in runs), strict=True)))


def report(kind: str, runs: dict[str, list[Run]]) -> str:
    """One model's figures as Markdown, and whether the goal is met."""
    measured = {what: medians(each) for what, each in runs.items()}
    floor = measured[floor_of(kind)].seconds
    both = floor + measured[CURL].seconds
    lines = [
        f"| | seconds | x floor ({floor_of(kind)}) | x {CURL_AND_FLOOR} | CPU s | peak MB | runs |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for what, run in measured.items():
        process = f"{run.cpu_seconds:.2f} | {run.peak_mb:.0f}" if run.peak_mb else " | "
        ratios = f"{run.seconds / floor:.2f} | {run.seconds / both:.2f}"
        lines.append(f"| {what} | {run.seconds:.2f} | {ratios} | {process} | {len(runs[what])} |")
        if what == CURL:
            lines.append(f"| {CURL_AND_FLOOR} | {both:.2f} | {both / floor:.2f} | 1.00 | | | |")
    peak = max(run.peak_mb for each in runs.values() for run in each)
    lines += ["", memory_goal_line("peak memory", peak)]
    return "\n".join(lines)


def measured_model(parent: Path, kind: str, megabytes: int, rounds: int) -> dict[str, list[Run]]:
    """Make a model and a server, measure, and remove both."""
    say(f"{kind}, {megabytes} MB")
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-", dir=parent) as name:
        subprocess.run([sys.executable, str(INPUTS), name, kind, str(megabytes * MB)], check=True)
        server = start_server(Path(name) / "data", "--workers", "1")
        try:
            server.client("s3").create_bucket(Bucket=BUCKET)
            return measure(server, Path(name), kind, rounds)
        finally:
            server.stop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="64 MB only, one round")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="MB", help=f"default {SIZES}")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="where models are kept meanwhile")
    parser.add_argument("--json", action="store_true", help="print JSON in place of Markdown")
    arguments = parser.parse_args()
    sizes = arguments.sizes or (QUICK_SIZES if arguments.quick else SIZES)
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)

    everything: list[dict[str, object]] = []
    if not arguments.json:
        print(heading("Jobs"))
    for megabytes in sizes:
        for kind in arguments.kinds:
            runs = measured_model(arguments.dir, kind, megabytes, rounds)
            rows = {what: [asdict(run) for run in each] for what, each in runs.items()}
            everything.append({"kind": kind, "megabytes": megabytes, "measured": rows})
            if not arguments.json:
                print(f"\n## {megabytes} MB, {kind}\n\n{report(kind, runs)}", flush=True)
    if arguments.json:
        print(json.dumps({"machine": machine(), "measured": everything}, indent=2))


if __name__ == "__main__":
    main()
