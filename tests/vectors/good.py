"""Packages that every verifier must accept."""

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from edgepack.package.assembly import frame_package
from edgepack.package.manifest import ModelIdentity
from edgepack.package.repack import repack
from edgepack.package.scan import scan_archive
from edgepack.package.signature import Signer
from models import compiled_archive, tar_gz
from package.conftest import IDENTITY, NOW

PLAIN = tar_gz({"a.txt": b"hello", "b.bin": bytes(range(200))})


def good_packages(signer: Signer) -> Iterator[tuple[str, bytes]]:
    """Each with its name; the first one is plain."""
    yield "plain", packaged(PLAIN, signer)
    yield "one-empty-file", packaged(tar_gz({"empty": b""}), signer)
    yield "a-compiled-model", packaged(compiled_archive(), signer)
    yield "stored-blocks", packaged(tar_gz({"a": bytes(70_000)}, level=0), signer)
    yield (
        "manifest-of-several-blocks",
        packaged(tar_gz({f"file-{n * 7 % 230:03}": b"%d" % n for n in range(230)}), signer),
    )
    yield "folders-and-letters-of-the-world", packaged(tree(tarfile.PAX_FORMAT), signer)
    yield "gnu-long-names", packaged(tree(tarfile.GNU_FORMAT), signer)
    yield "more-zero-blocks", packaged(gzip.compress(gzip.decompress(PLAIN) + bytes(20 * 512), mtime=0), signer)
    yield "compressed-anew", packaged_anew(signer)
    device = ModelIdentity(model_name="Ünïcode model", model_version="1.0 b_2", target_device="jetson_nano")
    yield "for-a-device", packaged(PLAIN, signer, identity=device)
    yield "by-name-and-version-alone", packaged(PLAIN, signer, identity=replace(device, target_device=None))


def packaged(archive: bytes, signer: Signer, *, identity: ModelIdentity = IDENTITY) -> bytes:
    """A package as edgepack makes it."""
    scan = scan_archive([archive])
    frame = frame_package(scan, identity=identity, signer=signer, signed_at=NOW)
    return frame.prefix + archive[scan.deflate_start : scan.deflate_end] + frame.trailer


def packaged_anew(signer: Signer) -> bytes:
    """Of an archive of two gzip members."""
    tar, pieces = gzip.decompress(PLAIN), list[bytes]()
    scan = repack([gzip.compress(tar[:700]) + gzip.compress(tar[700:])], emit=pieces.append)
    frame = frame_package(scan, identity=IDENTITY, signer=signer, signed_at=NOW)
    return frame.prefix + b"".join(pieces) + frame.trailer


def tree(kind: int) -> bytes:
    """Folders, names that need extended headers, names of many scripts."""
    long = "/".join(["a-rather-long-folder-name"] * 6) + "/" + "f" * 150
    files: Mapping[str, bytes] = {long: b"long", "./dot/file": b"dot", "漢字/äß": b"letters"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as tar:
        for folder in (".", "dot", "漢字"):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1_700_000_000
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)
