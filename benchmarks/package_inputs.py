"""Makes one model to measure with: its folder, its tar and its gzipped tar.

A program of its own, so that the memory it needs is not counted for what the benchmark starts afterwards.
"""

import argparse
import os
import subprocess
from pathlib import Path

import numpy as np
from isal import isal_zlib

CHUNK = 16 * 1024 * 1024
GZIP_WINDOW = 31
"""zlib's number for a gzip header around deflate's largest window."""

SPREAD = 0.02
"""Standard deviation of made-up float32 weights, as trained layers have it: gzip takes about 7 % off them."""


def write_weights(path: Path, kind: str, size: int) -> None:
    """Write `size` bytes of random bytes, or of normally distributed float32 numbers."""
    random = np.random.default_rng(size)
    with path.open("wb") as file:
        for start in range(0, size, CHUNK):
            count = min(CHUNK, size - start)
            if kind == "random":
                file.write(random.bytes(count))
            else:
                file.write((random.standard_normal(count // 4, dtype=np.float32) * np.float32(SPREAD)).tobytes())


def make(folder: Path, kind: str, size: int) -> None:
    """Make `folder/model/weights.bin`, `folder/model.tar` and `folder/model.tar.gz`."""
    (folder / "model").mkdir()
    write_weights(folder / "model" / "weights.bin", kind, size)
    tar = folder / "model.tar"
    subprocess.run(["tar", "cf", str(tar), "-C", str(folder / "model"), "weights.bin"], check=True)
    packer = isal_zlib.compressobj(level=1, wbits=GZIP_WINDOW)
    with tar.open("rb") as source, (folder / "model.tar.gz").open("wb") as packed:
        while chunk := source.read(CHUNK):
            packed.write(packer.compress(chunk))
        packed.write(packer.flush())
    os.sync()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=["random", "float32"])
    parser.add_argument("size", type=int, help="bytes of weights")
    arguments = parser.parse_args()
    make(arguments.folder, arguments.kind, arguments.size)
