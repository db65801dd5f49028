"""Makes one model artifact of any size without making a tar first: random bytes in a few files, or many tiny files.

A program of its own, so that the memory it needs is not counted for what the benchmark starts afterwards.
"""

import argparse
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from isal import isal_zlib

MB = 1024 * 1024
CHUNK = 8 * MB
GZIP_WINDOW = 31
"""zlib's number for a gzip header around deflate's largest window."""

LARGE_FILES = 8
TINY_SIZE = 64
"""Bytes of a tiny file."""

FILES_PER_FOLDER = 256


def large_files(megabytes: int) -> Iterator[bytes]:
    """A tar stream of `LARGE_FILES` files with that many MB of random bytes together."""
    random = np.random.default_rng(megabytes)
    for number in range(LARGE_FILES):
        size = megabytes * MB // LARGE_FILES
        yield header(f"layers/{number}/weights.bin", size)
        for start in range(0, size, CHUNK):
            yield random.bytes(min(CHUNK, size - start))  # whole blocks, so there is no padding


def tiny_files(count: int) -> Iterator[bytes]:
    """A tar stream of that many members."""
    random = np.random.default_rng(count)
    padding = bytes(tarfile.BLOCKSIZE - TINY_SIZE)
    for start in range(0, count, FILES_PER_FOLDER):
        numbers = range(start, min(start + FILES_PER_FOLDER, count))
        yield b"".join(
            header(f"layers/block-{start // FILES_PER_FOLDER:04}/tensor-{number:06}.bin", TINY_SIZE)
            + random.bytes(TINY_SIZE)
            + padding
            for number in numbers
        )


def header(name: str, size: int) -> bytes:
    """A file's tar header."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def make(target: Path, tar: Iterator[bytes]) -> None:
    """Compress a tar stream into a file; at isal's level 1, since memory does not depend on who compressed."""
    packer = isal_zlib.compressobj(level=1, wbits=GZIP_WINDOW)
    with target.open("wb") as packed:
        for piece in tar:
            packed.write(packer.compress(piece))
        packed.write(packer.compress(bytes(2 * tarfile.BLOCKSIZE)))
        packed.write(packer.flush())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--megabytes", type=int)
    what.add_argument("--members", type=int)
    arguments = parser.parse_args()
    make(arguments.target, large_files(arguments.megabytes) if arguments.megabytes else tiny_files(arguments.members))
