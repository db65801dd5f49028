"""Packages that every verifier must accept."""

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from edgepack.package.manifest import ModelIdentity
from edgepack.package.signature import Signer
from models import compiled_archive, tar_gz
from package.making import package_of

PLAIN = tar_gz({"a.txt": b"hello", "b.bin": bytes(range(200))})
PLAIN_TAR = gzip.decompress(PLAIN)


def good_packages(signer: Signer) -> Iterator[tuple[str, bytes]]:
    """Each with its name."""
    yield "plain", package_of(PLAIN, signer)
    yield "one-empty-file", package_of(tar_gz({"empty": b""}), signer)
    yield "a-compiled-model", package_of(compiled_archive(), signer)
    yield "stored-blocks", package_of(tar_gz({"a": bytes(70_000)}, level=0), signer)
    yield (
        "manifest-of-several-blocks",
        package_of(tar_gz({f"file-{n * 7 % 230:03}": b"%d" % n for n in range(230)}), signer),
    )
    yield "folders-and-letters-of-the-world", package_of(tree(tarfile.PAX_FORMAT), signer)
    yield "gnu-long-names", package_of(tree(tarfile.GNU_FORMAT), signer)
    yield "more-zero-blocks", package_of(gzip.compress(PLAIN_TAR + bytes(20 * 512), mtime=0), signer)
    yield "compressed-anew", package_of(gzip.compress(PLAIN_TAR[:700]) + gzip.compress(PLAIN_TAR[700:]), signer)
    yield "filling", package_of(tar_gz({"zeros": bytes(1 << 24)}, level=0), signer)
    device = ModelIdentity(model_name="Ünïcode model", model_version="1.0 b_2", target_device="jetson_nano")
    yield "for-a-device", package_of(PLAIN, signer, identity=device)
    yield "by-name-and-version-alone", package_of(PLAIN, signer, identity=replace(device, target_device=None))


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
