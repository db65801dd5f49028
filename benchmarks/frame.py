"""What packaging is where the object store copies the model on its side: scan, sign, and write the frame around it.

Reads `model.tar.gz` as `edgepack package` does and writes the package's first and last bytes; of the body, nothing.
"""

import argparse
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from edgepack.cli.memory import keep_small
from edgepack.cli.streams import chunks_of
from edgepack.keys.signing import ensure_signing_keys
from edgepack.package.assembly import frame_package
from edgepack.package.manifest import ModelIdentity
from edgepack.package.scan import scan_archive


def write_frame(source: Path, target: Path, data: Path) -> None:
    """Package `source`, and write all of the package that is not in it already.

    Args:
        source: The model artifact.
        target: Takes prefix and trailer.
        data: The folder with the signing keys; they are made if there are none.
    """
    keep_small()
    now = datetime.now(UTC)
    signer = ensure_signing_keys(data, now=now)
    with FileIO(source) as file:
        scan = scan_archive(chunks_of(file))
    if not scan.spliceable:
        raise SystemExit(f"cannot be copied: {scan.not_spliceable_because}")
    identity = ModelIdentity(model_name="model", model_version="1.0")
    frame = frame_package(scan, identity=identity, signer=signer, signed_at=now)
    with target.open("wb") as file:
        file.writelines(frame.prefix_pieces())
        file.write(frame.trailer)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    write_frame(arguments.source, arguments.target, arguments.data)
