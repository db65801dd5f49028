"""Large packages: their model begins at a block's boundary, in one way only, and every reader reads them."""

import hashlib
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from edgepack.keys.signing import FileSigner
from edgepack.package.gzip_format import ALIGNED_FROM, BODY_ALIGNMENT, EMPTY_BLOCK
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from models import tar_gz
from package.conftest import NOW
from package.making import framed

CONTENT = os.urandom(ALIGNED_FROM)
LARGE = tar_gz({"weights": CONTENT}, level=0)
SMALL = tar_gz({"weights": CONTENT[: ALIGNED_FROM - (1 << 16)]}, level=0)


@pytest.fixture(scope="module")
def large(signer: FileSigner) -> bytes:
    frame, deflate = framed(LARGE, signer)
    assert len(frame.prefix) % BODY_ALIGNMENT == 0
    assert frame.prefix.endswith(EMPTY_BLOCK)
    return frame.prefix + deflate + frame.trailer


def model_start(package: bytes, archive: bytes) -> int:
    return len(package) - len(archive) + 10


def test_it_verifies(large: bytes, trust: TrustRoots) -> None:
    assert verify_package([large], trust=trust, now=NOW).ok


@pytest.mark.parametrize("blocks", [1, BODY_ALIGNMENT])
def test_more_or_less_of_it_is_refused(large: bytes, trust: TrustRoots, blocks: int) -> None:
    start = model_start(large, LARGE)
    more = large[:start] + EMPTY_BLOCK * blocks + large[start:]
    less = large[: start - len(EMPTY_BLOCK)] + large[start:]
    for other in (more, less):
        verdict = verify_package([other], trust=trust, now=NOW)
        assert not verdict.ok


def test_small_packages_have_none(signer: FileSigner, trust: TrustRoots) -> None:
    frame, deflate = framed(SMALL, signer)
    assert len(deflate) < ALIGNED_FROM
    assert not frame.prefix.endswith(EMPTY_BLOCK)
    filled = frame.prefix + EMPTY_BLOCK + deflate + frame.trailer
    assert not verify_package([filled], trust=trust, now=NOW).ok


@pytest.mark.parametrize("mode", ["r:gz", "r|gz"])
def test_python_reads_it(large: bytes, tmp_path: Path, mode: str) -> None:
    (tmp_path / "package.tar.gz").write_bytes(large)
    with tarfile.open(tmp_path / "package.tar.gz", mode) as tar:  # type: ignore[call-overload]
        found = {member.name: tar.extractfile(member).read() for member in tar}
    assert list(found) == ["sagemaker_edge_manifest", "weights"]
    assert found["weights"] == CONTENT


@pytest.mark.parametrize("command", ["tar -xzOf - weights", "gzip -dc | tar -xOf - weights"])
def test_gnu_tar_and_gzip_read_it(large: bytes, command: str) -> None:
    done = subprocess.run(["bash", "-c", command], input=large, capture_output=True, check=True)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(CONTENT).digest()
