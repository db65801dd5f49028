"""A signer, and packages made in memory."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from edgepack.keys.signing import FileSigner, ensure_signing_keys, export_trust
from edgepack.package.assembly import frame_package
from edgepack.package.manifest import ModelIdentity, TargetPlatform
from edgepack.package.trust import TrustRoots
from package.splicing import spliced

NOW = dt.datetime(2026, 3, 1, 12, 0, 30, tzinfo=dt.UTC)
IDENTITY = ModelIdentity(
    model_name="resnet",
    model_version="1.0",
    target_platform=TargetPlatform(os="LINUX", arch="ARM64"),
    compilation_job_name="resnet-arm64",
)

Package = Callable[[bytes], bytes]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with signing keys that are valid at NOW."""
    folder = tmp_path_factory.mktemp("keys")
    ensure_signing_keys(folder, now=NOW - dt.timedelta(days=1))
    return folder


@pytest.fixture(scope="session")
def signer(keys: Path) -> FileSigner:
    return ensure_signing_keys(keys, now=NOW)


@pytest.fixture(scope="session")
def trust(keys: Path) -> TrustRoots:
    return TrustRoots.from_pem(export_trust(keys))


@pytest.fixture(scope="session")
def package(signer: FileSigner) -> Package:
    """Packages an archive: spliced where that can be, else repacked."""

    def make(archive: bytes) -> bytes:
        scan, deflate = spliced(archive)
        frame = frame_package(scan, identity=IDENTITY, signer=signer, signed_at=NOW)
        return frame.prefix + deflate + frame.trailer

    return make
