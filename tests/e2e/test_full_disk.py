"""A disk that is full: the job fails and says so, and leaves nothing; with room again, everything goes on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import BUCKET, compiled, nothing_left, packaged
from harness import RunningServer, start_server
from models import tar_gz

pytestmark = [pytest.mark.server, pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")]

MODEL = 40 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[RunningServer]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=280m", "tmpfs", disk], check=True)
    server = None
    try:
        server = start_server(disk / "data", "--workers", "1")
        yield server
    finally:
        if server is not None:
            server.stop()
        subprocess.run(["umount", disk], check=True)


def location(name: str) -> dict[str, str]:
    return {"S3OutputLocation": f"s3://{BUCKET}/{name}"}


def test_a_full_disk(small_disk: RunningServer) -> None:
    compiled(small_disk, "before", tar_gz({"compiled.params": os.urandom(MODEL)}, level=0))
    name = ""
    for number in range(6):
        name = f"filling-{number}"
        found = packaged(small_disk, name, "before", OutputConfig=location(name))
        if found["EdgePackagingJobStatus"] != "COMPLETED":
            break
    assert found["EdgePackagingJobStatus"] == "FAILED"
    assert "MiB left" in found["EdgePackagingJobStatusMessage"]
    assert nothing_left(small_disk, f"{name}/")
    assert number > 0
