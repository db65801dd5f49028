"""How long jobs take through a real server and a real store, and how much memory their worker needs.

Everything is measured in one run, in turn: figures of different runs do not compare. The store is the embedded one; it
shares the machine's cores with the worker.

* floor: `openssl dgst -sha256` of the uncompressed tar: every byte must be hashed once.
* curl: one GET of the model from the store: every byte must be read once.
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
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3.s3.transfer
import psutil  # type: ignore[import-untyped]  # has no stubs

from driving import BUCKET, create_compilation, create_packaging, describe_compilation, describe_packaging
from harness import FINAL, RunningServer, start_server
from reporting import goal_line, heading, machine, say

MB = 1024 * 1024
INPUTS = Path(__file__).with_name("package_inputs.py")
KINDS = ("random", "float32")
SIZES, QUICK_SIZES = (64, 1024), (64,)
ROUNDS, QUICK_ROUNDS = 3, 1

MEMORY_GOAL = 150
"""Peak resident MB of a worker, at any size."""

SOURCE = "in/model.tar.gz"
FLOOR, CURL, COPY = "openssl dgst -sha256 (floor)", "curl GET", "store's copy"
COMPILATION, PACKAGING = "compilation job", "edge packaging job"
RESET_PEAK = "5"
"""What /proc/PID/clear_refs takes to forget the peak of the resident memory (proc_pid_clear_refs(5))."""


@dataclass(frozen=True)
class Run:
    """One thing, done once.

    Attributes:
        seconds: Wall time.
        cpu_seconds: CPU time of the worker; 0 for what is not a job.
        peak_mb: Peak resident MB of the worker, likewise.
    """

    seconds: float
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0


def worker_of(server: RunningServer) -> psutil.Process:
    """The server's only worker."""
    (worker,) = (each for each in psutil.Process(server.process.pid).children() if "worker" in each.cmdline())
    return worker


def timed(work: Callable[[], object]) -> Run:
    """Do what is not a job."""
    start = time.perf_counter()
    work()
    return Run(time.perf_counter() - start)


def command(*words: str) -> Run:
    """Run a command."""
    return timed(lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL))


def watched(worker: psutil.Process, start: Callable[[], Any], describe: Callable[[], dict[str, Any]], kind: str) -> Run:
    """Run a job to its end and watch its worker.

    Args:
        worker: Who runs it.
        start: Creates the job.
        describe: Describes it.
        kind: `Compilation` or `EdgePackaging`, as the members of its description begin.
    """
    status = f"{kind}JobStatus"
    Path(f"/proc/{worker.pid}/clear_refs").write_text(RESET_PEAK)
    before = worker.cpu_times()
    start()
    while (found := describe())[status] not in FINAL:
        time.sleep(0.1)
    if found[status] != "COMPLETED":
        raise SystemExit(f"the job failed: {found}")
    after = worker.cpu_times()
    return Run(
        (found["LastModifiedTime"] - found["CreationTime"]).total_seconds(),
        after.user + after.system - before.user - before.system,
        _peak_mb(worker),
    )


def _peak_mb(worker: psutil.Process) -> float:
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(server: RunningServer, folder: Path, rounds: int) -> dict[str, list[Run]]:
    """Do everything in turn, `rounds` times."""
    s3, worker = server.client("s3"), worker_of(server)
    once = boto3.s3.transfer.TransferConfig(preferred_transfer_client="classic")
    s3.upload_file(str(folder / "model.tar.gz"), BUCKET, SOURCE, Config=once)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": SOURCE})
    runs: dict[str, list[Run]] = {FLOOR: [], CURL: [], COPY: [], COMPILATION: [], PACKAGING: []}
    for number in range(rounds):
        name = f"{folder.name}-{number}".replace("_", "-")
        runs[FLOOR].append(command("openssl", "dgst", "-sha256", str(folder / "model.tar")))
        runs[CURL].append(command("curl", "--silent", "--fail", "--output", "/dev/null", url))
        runs[COPY].append(timed(lambda: s3.copy({"Bucket": BUCKET, "Key": SOURCE}, BUCKET, "copied", Config=once)))
        runs[COMPILATION].append(compilation(server, worker, name))
        runs[PACKAGING].append(packaging(server, worker, name))
        for found in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
            if found["Key"] != SOURCE:
                s3.delete_object(Bucket=BUCKET, Key=found["Key"])
        say("  " + ", ".join(f"{what}: {done[-1].seconds:.2f} s" for what, done in runs.items()))
    return runs


def compilation(server: RunningServer, worker: psutil.Process, name: str) -> Run:
    """One compilation job."""
    uri = f"s3://{BUCKET}/{SOURCE}"
    return watched(
        worker,
        lambda: create_compilation(server, name, uri),
        lambda: describe_compilation(server, name),
        "Compilation",
    )


def packaging(server: RunningServer, worker: psutil.Process, name: str) -> Run:
    """One edge packaging job."""
    return watched(
        worker,
        lambda: create_packaging(server, name, name),
        lambda: describe_packaging(server, name),
        "EdgePackaging",
    )


def medians(runs: Sequence[Run]) -> Run:
    """The median of each figure."""
    return Run(*(statistics.median(figures) for figures in zip(*(asdict(run).values() for run in runs), strict=True)))


def report(runs: dict[str, list[Run]]) -> str:
    """One model's figures as Markdown, and whether the goal is met."""
    measured = {what: medians(each) for what, each in runs.items()}
    floor = measured[FLOOR].seconds
    lines = ["| | seconds | x floor | worker CPU s | worker peak MB | runs |", "|---|--:|--:|--:|--:|--:|"]
    for what, run in measured.items():
        worker = f"{run.cpu_seconds:.2f} | {run.peak_mb:.0f}" if run.peak_mb else " | "
        lines.append(f"| {what} | {run.seconds:.2f} | {run.seconds / floor:.2f} | {worker} | {len(runs[what])} |")
    peak = max(run.peak_mb for each in runs.values() for run in each)
    lines += ["", goal_line("peak memory, at most", peak, MEMORY_GOAL, "MB", met=peak <= MEMORY_GOAL)]
    return "\n".join(lines)


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
            say(f"{kind}, {megabytes} MB")
            with tempfile.TemporaryDirectory(prefix="edgepack-bench-", dir=arguments.dir) as name:
                subprocess.run([sys.executable, str(INPUTS), name, kind, str(megabytes * MB)], check=True)
                server = start_server(Path(name) / "data", "--workers", "1")
                try:
                    server.client("s3").create_bucket(Bucket=BUCKET)
                    runs = measure(server, Path(name), rounds)
                finally:
                    server.stop()
            rows = {what: [asdict(run) for run in each] for what, each in runs.items()}
            everything.append({"kind": kind, "megabytes": megabytes, "measured": rows})
            if not arguments.json:
                print(f"\n## {megabytes} MB of {kind} weights\n\n{report(runs)}", flush=True)
    if arguments.json:
        print(json.dumps({"machine": machine(), "measured": everything}, indent=2))


if __name__ == "__main__":
    main()
