"""Jobs a second with 1, 2 and 4 workers, on SQLite and on PostgreSQL; and how the API answers while jobs are run.

Through `edgepack serve` with its embedded store, all on this machine's cores, the load included.

* jobs a second: edge packaging jobs of a model of a few kB, from the first one's CreationTime to the last one's
  LastModifiedTime. What is measured is what a job costs besides its bytes: the queue, the database, the store. Of
  PostgreSQL also its transactions and its write-ahead log for one job, and the transactions of an idle worker.
* the API: signed Describe, List (of ten) and Create requests at a steady rate, each timed from when it was due; first
  with nothing else to do, then while two workers package models of 64 MB all the time.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # has no stubs
import psycopg

from describe_inputs import recorded
from driving import compiled, packaging_request
from harness import RunningServer, start_server, wait_for
from models import compiled_archive, tar_gz
from postgres import DATABASES, SQLITE, running_postgres
from probing import Latency, Probe, run_together
from reporting import heading, machine, say

WORKERS = (1, 2, 4)
JOBS, QUICK_JOBS = 200, 30
CREATORS = 4
"""Threads that create jobs."""

IDLE_SECONDS = 5.0
"""For counting what idle workers do."""
STATISTICS_SECONDS = 1.5
"""PostgreSQL's processes tell their statistics once a second."""

LARGE = 64 << 20
"""Bytes of a model that keeps a worker busy for about a second."""
LARGE_JOBS_PER_SECOND = 3
"""More than two workers can package here, so that there is always work."""

PROBE_SECONDS, QUICK_PROBE_SECONDS = 20.0, 4.0
RATES = {"DescribeEdgePackagingJob": 50.0, "ListEdgePackagingJobs": 10.0, "CreateEdgePackagingJob": 5.0}
METHODS = {
    "DescribeEdgePackagingJob": "describe_edge_packaging_job",
    "ListEdgePackagingJobs": "list_edge_packaging_jobs",
    "CreateEdgePackagingJob": "create_edge_packaging_job",
}
STATUS = "EdgePackagingJobStatus"
IDLE, LOADED = "idle", "while packaging"


@dataclass(frozen=True)
class Throughput:
    """What a number of workers did.

    Attributes:
        workers: How many.
        per_second: Jobs a second.
        cpu_ms: CPU time of the server, its workers and its store (not PostgreSQL's) for one job, in milliseconds.
        commits: PostgreSQL's transactions for one job, those of idle workers left out; 0 on SQLite.
        wal_kb: Its write-ahead log for one job, in kB; 0 on SQLite.
        idle_commits: Its transactions a second for one worker that has nothing to do; 0 on SQLite.
    """

    workers: int
    per_second: float
    cpu_ms: float
    commits: float
    wal_kb: float
    idle_commits: float


@dataclass(frozen=True)
class Written:
    """What PostgreSQL has done so far, and when.

    Attributes:
        at: Seconds, on a clock that does not jump.
        commits: Transactions.
        wal: Bytes of write-ahead log.
    """

    at: float
    commits: int
    wal: int

    @classmethod
    def by(cls, server: RunningServer) -> "Written":
        """Of the server's database; nothing on SQLite."""
        url = server.settings.get("EDGEPACK_DATABASE")
        if url is None:
            return cls(time.monotonic(), 0, 0)
        time.sleep(STATISTICS_SECONDS)
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT xact_commit, pg_current_wal_insert_lsn() - '0/0' FROM pg_stat_database "
                "WHERE datname = current_database()"
            ).fetchone()
        assert row is not None
        return cls(time.monotonic(), row[0], int(row[1]))


@contextmanager
def server_on(kind: str, folder: Path, workers: int) -> Iterator[RunningServer]:
    """A server with a new database of that kind, and a compiled model."""
    if kind == SQLITE:
        server = start_server(folder / "data", "--workers", str(workers))
        try:
            yield server
        finally:
            server.stop()
        return
    with running_postgres() as postgres:
        server = start_server(folder / "data", "--workers", str(workers), database=postgres.new_database())
        try:
            yield server
        finally:
            server.stop()


def throughput(kind: str, workers: int, jobs: int) -> Throughput:
    """Create jobs as fast as they are taken, and wait for the last one."""
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-") as name, server_on(kind, Path(name), workers) as server:
        compiled(server, "source", compiled_archive())
        names = [f"job-{number:04}" for number in range(jobs)]
        first = Written.by(server)
        time.sleep(IDLE_SECONDS)
        idle = Written.by(server)
        before = _cpu_seconds(server)
        with ThreadPoolExecutor(CREATORS) as creators:
            list(creators.map(lambda each: _create(server, each), names))
        found = [_ended(server, each) for each in names]
        seconds = max(job["LastModifiedTime"] for job in found) - min(job["CreationTime"] for job in found)
        cpu = _cpu_seconds(server) - before
        done = Written.by(server)
    idle_commits = (idle.commits - first.commits) / (idle.at - first.at)
    return Throughput(
        workers=workers,
        per_second=jobs / seconds.total_seconds(),
        cpu_ms=1000 * cpu / jobs,
        commits=(done.commits - idle.commits - idle_commits * (done.at - idle.at)) / jobs,
        wal_kb=(done.wal - idle.wal) / jobs / 1000,
        idle_commits=idle_commits / workers,
    )


def _create(server: RunningServer, name: str) -> None:
    server.client("sagemaker").create_edge_packaging_job(**packaging_request(name, "source"))


def _ended(server: RunningServer, name: str) -> dict[str, Any]:
    sagemaker = server.client("sagemaker")
    found = wait_for(lambda: sagemaker.describe_edge_packaging_job(EdgePackagingJobName=name), STATUS)
    if found[STATUS] != "COMPLETED":
        raise SystemExit(f"{name} is {found[STATUS]}: {found['EdgePackagingJobStatusMessage']}")
    return found


def _cpu_seconds(server: RunningServer) -> float:
    process = psutil.Process(server.process.pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def latencies(kind: str, seconds: float) -> dict[str, list[Latency]]:
    """How the API answers, idle and while models are packaged."""
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-") as name, server_on(kind, Path(name), 2) as server:
        compiled(server, "source", compiled_archive())
        compiled(server, "large", tar_gz({"compiled.params": os.urandom(LARGE)}, level=0))
        _create(server, "described")
        _ended(server, "described")
        found = {IDLE: run_together(_probes(server, IDLE, seconds), seconds)}
        large = [f"large-{number}" for number in range(int(seconds * LARGE_JOBS_PER_SECOND))]
        for each in large:
            server.client("sagemaker").create_edge_packaging_job(**packaging_request(each, "large"))
        time.sleep(1.0)  # for the workers to begin
        found[LOADED] = run_together(_probes(server, "loaded", seconds), seconds)
        last = server.client("sagemaker").describe_edge_packaging_job(EdgePackagingJobName=large[-1])[STATUS]
        if last == "COMPLETED":
            raise SystemExit("the models were packaged before the API had been measured")
        return found


def _probes(server: RunningServer, what: str, seconds: float) -> list[Probe]:
    port = int(server.environment["AWS_ENDPOINT_URL_SAGEMAKER"].rpartition(":")[2])
    new = [f"{what}-{number}" for number in range(int(seconds * RATES["CreateEdgePackagingJob"]) + 1)]
    arguments: dict[str, list[dict[str, Any]]] = {
        "DescribeEdgePackagingJob": [{"EdgePackagingJobName": "described"}],
        "ListEdgePackagingJobs": [{"MaxResults": 10}],
        "CreateEdgePackagingJob": [packaging_request(each, "source") for each in new],
    }
    client = server.client("sagemaker")
    return [
        Probe(port, recorded(client, METHODS[operation], each), RATES[operation])
        for operation, each in arguments.items()
    ]


def throughput_table(measured: dict[str, list[Throughput]]) -> str:
    """Jobs a second as Markdown."""
    lines = ["| | workers | jobs/s | CPU ms/job | transactions/job | log kB/job | idle transactions/s and worker |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    for kind, row in measured.items():
        for each in row:
            figures = f"{each.workers} | {each.per_second:.1f} | {each.cpu_ms:.0f}"
            written = f"{each.commits:.0f} | {each.wal_kb:.0f} | {each.idle_commits:.1f}" if each.wal_kb else " | | "
            lines.append(f"| {kind} | {figures} | {written} |")
    return "\n".join(lines)


def latency_table(kind: str, measured: dict[str, list[Latency]]) -> str:
    """The API's latencies as Markdown."""
    heads = " | ".join(f"{what}: p50 ms | p99 ms | failures" for what in measured)
    lines = [f"| {kind} | requests/s | {heads} |", "|---|--:|" + "--:|" * 3 * len(measured)]
    for (operation, rate), row in zip(RATES.items(), zip(*measured.values(), strict=True), strict=True):
        cells = " | ".join(f"{each.p50_ms:.2f} | {each.p99_ms:.1f} | {each.failures}" for each in row)
        lines.append(f"| {operation} | {rate:.0f} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_JOBS} jobs, and a few seconds of requests")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--json", action="store_true", help="print JSON in place of Markdown")
    arguments = parser.parse_args()
    jobs = QUICK_JOBS if arguments.quick else JOBS
    seconds = QUICK_PROBE_SECONDS if arguments.quick else PROBE_SECONDS
    rates: dict[str, list[Throughput]] = {kind: [] for kind in arguments.databases}
    for workers in WORKERS:
        for kind in arguments.databases:
            rates[kind].append(throughput(kind, workers, jobs))
            say(f"{kind}: {rates[kind][-1]}")
    answers = {}
    for kind in arguments.databases:
        say(f"{kind}: the API")
        answers[kind] = latencies(kind, seconds)
    if arguments.json:
        everything = {"throughput": _plain(rates), "latency": {kind: _plain(each) for kind, each in answers.items()}}
        print(json.dumps({"machine": machine(), **everything}, indent=2))
        return
    print(heading("Throughput"))
    print(f"\n{throughput_table(rates)}\n")
    for kind, each in answers.items():
        print(f"{latency_table(kind, each)}\n")


def _plain(measured: dict[str, list[Any]]) -> dict[str, list[dict[str, Any]]]:
    return {what: [asdict(each) for each in row] for what, row in measured.items()}


if __name__ == "__main__":
    main()
