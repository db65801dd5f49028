"""Workers of a running server, held and watched while they work."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from driving import BUCKET, describe_packaging
from harness import FINAL, RunningServer

LARGE = 192 << 20
"""Bytes of a model: enough for a job to be caught in the middle."""


def workers_of(server: RunningServer) -> list[int]:
    """Process ids of the server's worker children."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat, command = (entry / "stat").read_text(), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == server.process.pid and b"\0worker\0" in command:
            found.append(int(entry.name))
    return found


def in_progress(server: RunningServer, name: str, prefix: str | None = None) -> dict[str, Any]:
    """The description once bytes are flowing to the prefix (by default the job's name).

    The workers stand still while the store is asked, or the job might end before the answer has come.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = describe_packaging(server, name)
        assert found["EdgePackagingJobStatus"] not in FINAL, found
        if found["EdgePackagingJobStatus"] != "STARTING":
            with suspended(workers_of(server)):
                if has_upload(server, prefix or name):
                    return found
        time.sleep(0.02)
    raise AssertionError(found)


@contextmanager
def suspended(processes: list[int]) -> Iterator[None]:
    """Processes that stand still during the block."""
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def has_upload(server: RunningServer, prefix: str) -> bool:
    uploads = server.client("s3").list_multipart_uploads(Bucket=BUCKET, Prefix=f"{prefix}/").get("Uploads", [])
    return bool(uploads)


def location(name: str) -> dict[str, str]:
    return {"S3OutputLocation": f"s3://{BUCKET}/{name}"}
