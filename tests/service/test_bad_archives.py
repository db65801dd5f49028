"""Hostile and broken model archives: each fails its job with its own message, and leaves nothing behind.

An archive is judged when it is passed through, and again when it is packaged: it may have changed in between.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable

import pytest

from driving import BUCKET, compiled, create_compilation, describe_compilation, nothing_left, packaged, put
from harness import RunningServer, wait_for
from models import compiled_archive, tar_gz

pytestmark = pytest.mark.server


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def file(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def bomb() -> bytes:
    """A file of 2 GiB of zeros, in about 2 MB: deflate blocks that end on a byte boundary can be repeated."""
    member = tarfile.TarInfo("zeros")
    member.size = 2 << 30
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = deflate.compress(member.tobuf()) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(bytes(16 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + head + block * 128 + deflate.flush() + bytes(8)


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "not-gzip": (lambda: b"PK\x03\x04 not a gzip file", "gzip"),
    "empty-object": (lambda: b"", "empty"),
    "not-tar": (lambda: gzip.compress(b"no tar in here" * 100), "tar"),
    "empty-archive": (lambda: tar_gz({}), "no "),
    "truncated": (lambda: compiled_archive()[:-200], "end"),
    "traversal": (lambda: tar_of(file("../evil")), "../evil"),
    "absolute": (lambda: tar_of(file("/etc/passwd")), "/etc/passwd"),
    "link-out": (lambda: tar_of(file("a"), link("b", "../../etc/passwd", tarfile.SYMTYPE)), "'b'"),
    "hard-link-out": (lambda: tar_of(file("a"), link("c", "/etc/passwd", tarfile.LNKTYPE)), "'c'"),
    "device": (lambda: tar_of(link("dev", "", tarfile.CHRTYPE)), "'dev'"),
    "duplicate": (lambda: tar_of(file("twin"), file("twin", b"y")), "twin"),
    "foreign-manifest": (lambda: tar_of(file("sagemaker_edge_manifest", b"{}")), "sagemaker_edge_manifest"),
    "bomb": (bomb, "inflate"),
}


@pytest.mark.parametrize("kind", BAD)
def test_passing_it_through_fails_and_leaves_nothing(server: RunningServer, kind: str) -> None:
    make, says = BAD[kind]
    uri = put(server, f"bad/{kind}.tar.gz", make())
    create_compilation(server, f"bad-{kind}", uri)
    found = wait_for(lambda: describe_compilation(server, f"bad-{kind}"), "CompilationJobStatus")
    assert found["CompilationJobStatus"] == "FAILED"
    assert says in found["FailureReason"]
    assert nothing_left(server, f"compiled/bad-{kind}/")


@pytest.mark.parametrize("kind", BAD)
def test_packaging_it_fails_and_leaves_nothing(server: RunningServer, kind: str) -> None:
    make, says = BAD[kind]
    source = compiled(server, f"swapped-{kind}")["ModelArtifacts"]["S3ModelArtifacts"]
    bucket, _, key = source.removeprefix("s3://").partition("/")
    server.client("s3").put_object(Bucket=bucket, Key=key, Body=make())
    location = f"bad-packages/{kind}"
    found = packaged(
        server, f"bad-{kind}", f"swapped-{kind}", OutputConfig={"S3OutputLocation": f"s3://{BUCKET}/{location}"}
    )
    assert found["EdgePackagingJobStatus"] == "FAILED"
    assert says in found["EdgePackagingJobStatusMessage"]
    assert "ModelArtifact" not in found
    assert nothing_left(server, f"{location}/")


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("s3://no-such-bucket-at-all/m.tar.gz", "no-such-bucket-at-all"),
        (f"s3://{BUCKET}/no/such/key.tar.gz", "no/such/key"),
    ],
)
def test_what_is_not_there_is_named(server: RunningServer, uri: str, says: str) -> None:
    name = f"absent-{len(uri)}"
    create_compilation(server, name, uri)
    found = wait_for(lambda: describe_compilation(server, name), "CompilationJobStatus")
    assert found["CompilationJobStatus"] == "FAILED"
    assert says in found["FailureReason"]
