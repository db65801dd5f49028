"""A worker that is taken for dead, and comes back in the middle of its last request: nothing of it counts."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from driving import BUCKET, compiled, create_packaging, describe_packaging
from harness import EDGEPACK, RunningServer, start_server, wait_for, wait_until_told, worker_beside
from models import compiled_archive, tar_gz
from s3_proxy import Request, S3Proxy, proxied

pytestmark = pytest.mark.server

LARGE = tar_gz({"compiled.params": os.urandom(16 << 20)}, level=0)


class HeldBack:
    """Holds back the first completion of an upload until it is released."""

    def __init__(self, proxy: S3Proxy) -> None:
        self.arrived, self.released = threading.Event(), threading.Event()
        self.path = ""
        proxy.rule = self

    def __call__(self, request: Request) -> None:
        if request.method == "POST" and "uploadId" in request.query and not self.arrived.is_set():
            self.path = request.path
            self.arrived.set()
            self.released.wait(60)


@pytest.mark.parametrize("archive", [compiled_archive(), LARGE], ids=["small", "large"])
def test_what_it_had_on_its_way_changes_nothing(tmp_path: Path, server_database: str | None, archive: bytes) -> None:
    server = start_server(tmp_path / "data", "--workers", "0", database=server_database)
    log = tmp_path / "late.log"
    try:
        with (
            proxied(server.environment["AWS_ENDPOINT_URL_S3"]) as proxy,
            worker_beside(server, log, store=proxy.endpoint) as late,
        ):
            compiled(server, "source", archive)
            held = HeldBack(proxy)
            create_packaging(server, "contended", "source")
            assert held.arrived.wait(60)
            late.send_signal(signal.SIGSTOP)
            with worker_beside(server, tmp_path / "successor.log"):
                found = wait_for(lambda: describe_packaging(server, "contended"), "EdgePackagingJobStatus")
                assert found["EdgePackagingJobStatus"] == "COMPLETED", found
                held.released.set()
                late.send_signal(signal.SIGCONT)
                wait_until_told(log, "no longer the current one")
            assert describe_packaging(server, "contended") == found
            check(server, found["ModelArtifact"], found["ModelSignature"], tmp_path)
    finally:
        server.stop()


def check(server: RunningServer, artifact: str, signature: str, folder: Path) -> None:
    """The stored package is the one that is described, no upload is left, and it verifies."""
    s3 = server.client("s3")
    assert s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    package, trust = folder / "package.tar.gz", folder / "trust.pem"
    s3.download_file(BUCKET, artifact.partition(f"{BUCKET}/")[2], str(package))
    assert (
        signature.encode()
        in subprocess.run(["tar", "-xzOf", package, "sagemaker_edge_manifest"], capture_output=True, check=True).stdout
    )
    subprocess.run([*EDGEPACK, "keys", "export-trust", "--data", server.data, "--out", trust], check=True)
    subprocess.run([*EDGEPACK, "verify", package, "--trust", trust], check=True)
