"""How many DescribeEdgePackagingJob requests one server process answers, against a bare uvicorn and against moto.

Everything is measured in one run, in turn, over loopback, by the same load generator on the other core.

* edgepack: `edgepack serve` as it is; every request is one that boto3 made, its signature is verified, and the answer
  is read from the database, for a name drawn at random among all jobs.
* uvicorn hello: uvicorn (uvloop, httptools) around an application that sends fixed bytes, as many as Describe's answer
  has: no signature, no decoding, no database. No Python server under uvicorn can be faster.
* moto: `moto_server` and DescribeCompilationJob, the closest operation that it has: nothing is verified, and the jobs
  are in its memory.
"""

import argparse
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3

from describe_inputs import fill, recorded
from harness import ROLE, start_server
from load import Load, run_load
from reporting import goal_line, heading, machine, say

ROOT = Path(__file__).parents[1]
HELLO_SERVER = Path(__file__).with_name("hello.py")
MOTO_SERVER = ROOT / ".venvs" / "moto" / "bin" / "moto_server"
MOTO_JOBS = 500
"""Compilation jobs in moto's memory."""

JOBS, QUICK_JOBS = 100_000, 1_000
ROUNDS, QUICK_ROUNDS = 5, 2
SECONDS, QUICK_SECONDS = 3.0, 1.0
CONNECTIONS = 16
REQUESTS = 500
"""Different requests, sent in turn."""

START_SECONDS = 30.0

HELLO_GOAL = 0.45
"""edgepack's requests a second over those of the bare uvicorn, at least."""

HELLO, EDGEPACK, MOTO = "uvicorn hello", "edgepack Describe", "moto DescribeCompilationJob"


@dataclass(frozen=True)
class Target:
    """A server under load.

    Attributes:
        name: In the table.
        port: Where it listens.
        process_id: The process that answers.
        requests: Makes the requests; called before each run, since signatures age.
    """

    name: str
    port: int
    process_id: int
    requests: Callable[[], list[bytes]]


@dataclass(frozen=True)
class Measured:
    """Medians over the rounds; as in `Load`."""

    name: str
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_microseconds: float
    failures: int


@contextmanager
def edgepack(folder: Path, jobs: int) -> Iterator[tuple[Target, int]]:
    """A server with that many COMPLETED jobs, and the size of its answer in bytes."""
    server = start_server(folder / "data", "--workers", "0")
    try:
        client = server.client("sagemaker")
        say(f"  writing {jobs} jobs")
        names = fill(server.data, jobs)

        def requests() -> list[bytes]:
            chosen = random.choices(names, k=REQUESTS)
            return recorded(client, "describe_edge_packaging_job", [{"EdgePackagingJobName": name} for name in chosen])

        answer = client.describe_edge_packaging_job(EdgePackagingJobName=names[0])
        size = int(answer["ResponseMetadata"]["HTTPHeaders"]["content-length"])
        port = int(server.environment["AWS_ENDPOINT_URL_SAGEMAKER"].rpartition(":")[2])
        yield Target(EDGEPACK, port, server.process.pid, requests), size
    finally:
        server.stop()


@contextmanager
def hello(size: int, like: Target) -> Iterator[Target]:
    """The bare uvicorn, sent the same requests."""
    with serving([sys.executable, str(HELLO_SERVER), str(size)]) as (port, process_id):
        yield Target(HELLO, port, process_id, like.requests)


@contextmanager
def moto() -> Iterator[Target]:
    """A moto server with `MOTO_JOBS` compilation jobs."""
    with serving([str(MOTO_SERVER), "--port"]) as (port, process_id):
        client: Any = boto3.client(
            "sagemaker",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="AKIAEXAMPLE",
            aws_secret_access_key="not-checked",  # moto checks none
        )
        names = [f"job-{number}" for number in range(MOTO_JOBS)]
        for name in names:
            client.create_compilation_job(
                CompilationJobName=name,
                RoleArn=ROLE,
                InputConfig={"S3Uri": "s3://models/model.tar.gz", "Framework": "ONNX", "DataInputConfig": "{}"},
                OutputConfig={"S3OutputLocation": "s3://models/compiled/", "TargetDevice": "rasp4b"},
                StoppingCondition={"MaxRuntimeInSeconds": 900},
            )
        requests = recorded(client, "describe_compilation_job", [{"CompilationJobName": name} for name in names])
        yield Target(MOTO, port, process_id, lambda: requests)


@contextmanager
def serving(command: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Run a server whose last argument is a free port; its port and process, once it accepts connections."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not accepts(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} did not start")
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def measure(targets: Sequence[Target], *, rounds: int, seconds: float) -> list[Measured]:
    """Load every server in turn, `rounds` times after one round to warm up, and take medians."""
    loads: dict[str, list[Load]] = {target.name: [] for target in targets}
    for number in range(rounds + 1):
        for target in targets:
            requests = target.requests()
            load = run_load(target.port, target.process_id, requests, connections=CONNECTIONS, seconds=seconds)
            if number:
                loads[target.name].append(load)
                say(f"  {target.name}: {load.per_second:.0f} requests/s")
    return [summary(name, runs) for name, runs in loads.items()]


def summary(name: str, runs: Sequence[Load]) -> Measured:
    """The medians of one server's runs."""
    return Measured(
        name=name,
        per_second=statistics.median(load.per_second for load in runs),
        p50_ms=statistics.median(load.p50_ms for load in runs),
        p99_ms=statistics.median(load.p99_ms for load in runs),
        cpu_microseconds=statistics.median(load.cpu_microseconds for load in runs),
        failures=sum(load.failures for load in runs),
    )


def report(results: Sequence[Measured]) -> str:
    """The figures as Markdown, and which goal they meet."""
    by_name = {one.name: one for one in results}
    lines = ["| | requests/s | x hello | p50 ms | p99 ms | server CPU µs | failures |", "|---|--:|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {one.name} | {one.per_second:.0f} | {one.per_second / by_name[HELLO].per_second:.3f} | {one.p50_ms:.2f} "
        f"| {one.p99_ms:.2f} | {one.cpu_microseconds:.1f} | {one.failures} |"
        for one in results
    ]
    ratio = by_name[EDGEPACK].per_second / by_name[HELLO].per_second
    lines += ["", goal_line("of the bare uvicorn, at least", ratio, HELLO_GOAL, "x", met=ratio >= HELLO_GOAL)]
    if MOTO in by_name:
        lines.append(f"- over moto: {by_name[EDGEPACK].per_second / by_name[MOTO].per_second:.0f} x")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer jobs, rounds and seconds")
    parser.add_argument("--jobs", type=int, help=f"jobs in the database, default {JOBS}")
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}")
    parser.add_argument("--json", action="store_true", help="print JSON in place of Markdown")
    arguments = parser.parse_args()
    jobs = arguments.jobs or (QUICK_JOBS if arguments.quick else JOBS)
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    seconds = QUICK_SECONDS if arguments.quick else SECONDS

    say(f"Describe, {jobs} jobs")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgepack-bench-")))
        ours, size = stack.enter_context(edgepack(folder, jobs))
        targets = [stack.enter_context(hello(size, ours)), ours, stack.enter_context(moto())]
        results = measure(targets, rounds=rounds, seconds=seconds)
    if arguments.json:
        print(json.dumps({"machine": machine(), "jobs": jobs, "measured": [asdict(one) for one in results]}, indent=2))
        return
    print(heading("Describe"))
    print(f"\n## {jobs} jobs, answers of {size} bytes, {CONNECTIONS} connections\n\n{report(results)}", flush=True)


if __name__ == "__main__":
    main()
