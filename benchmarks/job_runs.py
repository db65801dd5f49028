"""The single things that the jobs' benchmark does, once each, and what each took."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # has no stubs

from driving import BUCKET, create_compilation, create_packaging, describe_compilation, describe_packaging
from harness import FINAL, RunningServer
from measuring import peak_mb

TRANSFER = Path(__file__).with_name("transfer.py")
SOURCE = f"s3://{BUCKET}/in/model.tar.gz"
COMPILATION, PACKAGING = "compilation job", "edge packaging job"
Create = Callable[[RunningServer, str, str], object]
Describe = Callable[[RunningServer, str], dict[str, Any]]
JOBS: dict[str, tuple[Create, Describe, str]] = {
    COMPILATION: (create_compilation, describe_compilation, "CompilationJobStatus"),
    PACKAGING: (create_packaging, describe_packaging, "EdgePackagingJobStatus"),
}
"""How each kind of job is created and described, and the member of the description that tells how it goes."""

RESET_PEAK = "5"
"""What /proc/PID/clear_refs takes to forget the peak of the resident memory (proc_pid_clear_refs(5))."""


@dataclass(frozen=True)
class Run:
    """One thing, done once.

    Attributes:
        seconds: Wall time.
        cpu_seconds: CPU time of the process that packages; 0 for what does not.
        peak_mb: Its peak resident MB, likewise.
    """

    seconds: float
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0


def worker_of(server: RunningServer) -> psutil.Process:
    """The server's only worker."""
    (worker,) = (each for each in psutil.Process(server.process.pid).children() if "worker" in each.cmdline())
    return worker


def timed(work: Callable[[], object]) -> Run:
    """Do what is not edgepack's."""
    start = time.perf_counter()
    work()
    return Run(time.perf_counter() - start)


def command(*words: str, folder: Path | None = None) -> Run:
    """Run a command."""
    return timed(lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=folder))


def one_pass(server: RunningServer, name: str, *flags: str) -> Run:
    """Package the model without the service, in one process (transfer.py)."""
    target = f"s3://{BUCKET}/one-pass/{name}.tar.gz"
    words = [sys.executable, str(TRANSFER), SOURCE, target, str(server.data), *flags]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, env={**os.environ, **server.environment})
    return Run(**json.loads(done.stdout))


def job(server: RunningServer, worker: psutil.Process, kind: str, name: str, *, of: str) -> Run:
    """Run a job to its end and watch its worker.

    Args:
        server: Where.
        worker: Who runs it.
        kind: `COMPILATION` or `PACKAGING`.
        name: Its name.
        of: What it is made of: the URI of a model, or the name of a compilation job.
    """
    create, describe, status = JOBS[kind]
    Path(f"/proc/{worker.pid}/clear_refs").write_text(RESET_PEAK)
    before = worker.cpu_times()
    create(server, name, of)
    while (found := describe(server, name))[status] not in FINAL:
        time.sleep(0.1)
    if found[status] != "COMPLETED":
        raise SystemExit(f"the job failed: {found}")
    after = worker.cpu_times()
    return Run(
        (found["LastModifiedTime"] - found["CreationTime"]).total_seconds(),
        after.user + after.system - before.user - before.system,
        peak_mb(worker.pid),
    )
