"""The embedded store is killed under a running server: it comes back by itself, and jobs go on."""

import os
import signal
import time
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from driving import BUCKET, compiled, create_packaging, describe_packaging, packaged
from harness import RunningServer, start_server, wait_for
from models import tar_gz

pytestmark = pytest.mark.server


def kill_store(server: RunningServer) -> None:
    os.kill(int((server.data / "store" / "lock").read_text().split()[1]), signal.SIGKILL)


def wait_for_store(server: RunningServer) -> None:
    s3, deadline = server.client("s3", retries={"max_attempts": 1}), time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            s3.head_bucket(Bucket=BUCKET)
        except (BotoCoreError, ClientError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the store did not come back")


def test_it_is_started_again_and_jobs_go_on(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", "--workers", "1")
    try:
        compiled(server, "source", tar_gz({"compiled.params": os.urandom(64 << 20)}, level=0))
        create_packaging(server, "interrupted", "source")
        kill_store(server)
        found = wait_for(lambda: describe_packaging(server, "interrupted"), "EdgePackagingJobStatus")
        assert found["EdgePackagingJobStatus"] == "COMPLETED", found
        kill_store(server)
        wait_for_store(server)
        assert packaged(server, "afterwards", "source")["EdgePackagingJobStatus"] == "COMPLETED"
    finally:
        server.stop()
    assert "the embedded store has ended" in (tmp_path / "data.log").read_text()
