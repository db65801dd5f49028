"""Write the seed corpus anew; the keys that sign its package are thrown away.

PYTHONPATH=tests:fuzz .venv/bin/python fuzz/seeds.py
"""

import gzip
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from edgepack.keys.signing import ensure_signing_keys, export_trust
from edgepack.package.assembly import frame_package
from edgepack.package.manifest import ModelIdentity
from edgepack.package.scan import scan_archive
from fuzz_targets import CORPUS, ORIGINAL, SIGNED_AT, SIZE_BYTES, TRUST, gzipped, stored
from package.odd_archives import READ, REFUSED, called, file
from package.tar_blocks import END, extended, record

AS_GZIP, AS_DEFLATE, AS_TAR = b"\0", b"\1", b"\3"
ARCHIVE_SEED_MAX = 4500
"""Bytes of a seed; longer archives say nothing that shorter ones do not."""


def write(folder: Path, name: str, data: bytes) -> None:
    """One seed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / re.sub(r"[^a-z0-9]+", "-", name.lower())).write_bytes(data)


def archives(table: dict[str, Callable[[], bytes]], kind: str) -> None:
    """The odd archives: as gzip files where they are not one tar stream, as tar streams otherwise."""
    for name, make in table.items():
        data = make()
        try:
            seed = AS_TAR + gzip.decompress(data)
        except gzip.BadGzipFile:
            seed = AS_GZIP + data
        if len(seed) <= ARCHIVE_SEED_MAX:
            write(CORPUS / "archive", f"{kind} {name}", seed)
    write(CORPUS / "archive", f"{kind} gzip", AS_GZIP + data)
    write(CORPUS / "archive", f"{kind} deflate", AS_DEFLATE + data[10:-8])


def package() -> None:
    """A signed package, by a signer that is made for it; and its bytes as they are."""
    tar = file("model.so", bytes(range(100))) + extended(record("comment", "x"), b"g") + called("labels", file()) + END
    with tempfile.TemporaryDirectory() as folder:
        signer = ensure_signing_keys(Path(folder), now=SIGNED_AT)
        TRUST.write_bytes(export_trust(Path(folder)))
    identity = ModelIdentity(model_name="m", model_version="1")
    archive = gzipped(stored(tar), tar)
    frame = frame_package(scan_archive([archive]), identity=identity, signer=signer, signed_at=SIGNED_AT)
    manifest = frame.manifest_json
    write(ORIGINAL.parent, ORIGINAL.name, b"\0" + len(manifest).to_bytes(SIZE_BYTES, "big") + manifest + tar)
    write(ORIGINAL.parent, "bytes", b"\1" + frame.prefix + stored(tar) + frame.trailer)


if __name__ == "__main__":
    archives(READ, "read")
    archives(REFUSED, "refused")
    package()
