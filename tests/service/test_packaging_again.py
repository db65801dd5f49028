"""A model that is packaged a second time, as a user of boto3 sees it."""

import random
import subprocess
from pathlib import Path

import pytest

from driving import compiled, fetched, packaged, put
from harness import EDGEPACK, RunningServer
from models import tar_gz

pytestmark = pytest.mark.server

KEPT = "keeps-versions"
ARCHIVE = tar_gz({"compiled.params": random.Random(3).randbytes(12 << 20), "compiled.so": b"\x7fELF"}, level=0)


def compiled_and_kept(server: RunningServer, name: str) -> None:
    """A COMPLETED compilation job whose model is in a bucket that keeps versions."""
    put(server, "any", b"makes the bucket", bucket=KEPT)
    server.client("s3").put_bucket_versioning(Bucket=KEPT, VersioningConfiguration={"Status": "Enabled"})
    output = {
        "S3OutputLocation": f"s3://{KEPT}/compiled/{name}",
        "TargetPlatform": {"Os": "LINUX", "Arch": "ARM64"},
        "CompilerOptions": '{"compiler": "none"}',
    }
    compiled(server, name, ARCHIVE, OutputConfig=output)


def test_a_version_that_was_packaged_before_is_not_read_again(server: RunningServer, tmp_path: Path) -> None:
    compiled_and_kept(server, "again")
    first = packaged(server, "again-1", "again", ModelVersion="1")
    second = packaged(server, "again-2", "again", ModelVersion="2")
    assert "not read anew" not in first["EdgePackagingJobStatusMessage"]
    assert second["EdgePackagingJobStatusMessage"].endswith(
        "The model was not read anew: its digests are those that edge packaging job 'again-1' signed for the same "
        "object version."
    )
    trust, package = tmp_path / "trust.pem", tmp_path / "package.tar.gz"
    package.write_bytes(fetched(server, second["ModelArtifact"]))
    assert package.read_bytes().endswith(ARCHIVE[10:-8], 0, -8)
    subprocess.run([*EDGEPACK, "keys", "export-trust", "--data", str(server.data), "--out", str(trust)], check=True)
    verdict = subprocess.run([*EDGEPACK, "verify", str(package), "--trust", str(trust)], capture_output=True, text=True)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def test_without_versions_every_job_reads_the_model(server: RunningServer) -> None:
    compiled(server, "unversioned", ARCHIVE)
    for version in ("1", "2"):
        found = packaged(server, f"unversioned-{version}", "unversioned", ModelVersion=version)
        assert found["EdgePackagingJobStatus"] == "COMPLETED"
        assert "not read anew" not in found["EdgePackagingJobStatusMessage"]
