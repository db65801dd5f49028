"""Makes one model to measure with: its folder, its tar and its gzipped tar.

A program of its own, so that the memory it needs is not counted for what the benchmark starts afterwards. The same
kind and size give the same files each time. They are compressed by gzip at level 6, as `tar czf` does it, because
that is what nearly every `model.tar.gz` was made by; `pigz` does the same on all cores, where it is installed.

* random: one file of random bytes, which do not compress, as quantised or encrypted weights.
* float32: one file of normally distributed float32 numbers, as trained weights; gzip takes about 7 % off them.
* small: files of 16 kB on average, in folders: a third each of JSON, float32 numbers and random bytes.
"""

import argparse
import os
import shutil
import subprocess
from itertools import chain
from pathlib import Path

import numpy as np

from floors import KINDS

CHUNK = 16 * 1024 * 1024

SPREAD = 0.02
"""Standard deviation of made-up float32 weights, as trained layers have it."""

SMALL_SIZE = 16 * 1024
"""Mean bytes of a small file; they differ by up to a half of it."""

SMALL_POOL = 24 * 1024 * 1024
"""Bytes of each sort that small files are cut from: so many that hardly two files share a deflate window's worth."""

FILES_PER_FOLDER = 256
TOKENS = 65_536
"""Different words in the JSON."""


def random_bytes(random: np.random.Generator, count: int) -> bytes:
    """Bytes that do not compress."""
    return random.bytes(count)


def float32_bytes(random: np.random.Generator, count: int) -> bytes:
    """Weights, in memory order."""
    weights = random.standard_normal(-(-count // 4), dtype=np.float32) * np.float32(SPREAD)
    return weights.tobytes()[:count]


def json_bytes(random: np.random.Generator, count: int) -> bytes:
    """Entries such as tokenizers and configurations consist of."""
    entry = '  {"id": %d, "token": "%x", "score": %.6f, "special": false},\n'
    numbers = zip(random.integers(TOKENS, size=count // 60), random.standard_normal(count // 60), strict=True)
    text = "".join(entry % (number, number * number, score) for number, score in numbers).encode()
    return (text * -(-count // len(text)))[:count]


SMALL_SORTS = {"json": json_bytes, "f32": float32_bytes, "q8": random_bytes}
"""Sorts of small files by the ending of their names."""


def write_weights(path: Path, kind: str, size: int) -> None:
    """Write one file."""
    random = np.random.default_rng(size)
    make = random_bytes if kind == "random" else float32_bytes
    with path.open("wb") as file:
        for start in range(0, size, CHUNK):
            file.write(make(random, min(CHUNK, size - start)))


def write_small_files(folder: Path, size: int) -> None:
    """Write many files, `size` bytes together."""
    random = np.random.default_rng(size)
    pools = [(ending, make(random, SMALL_POOL)) for ending, make in SMALL_SORTS.items()]
    sizes = small_sizes(random, size // SMALL_SIZE)
    starts = random.integers((SMALL_POOL - 2 * SMALL_SIZE) // 4, size=len(sizes)) * 4
    for number, (length, start) in enumerate(zip(sizes, starts, strict=True)):
        inside = folder / f"part-{number // FILES_PER_FOLDER:04}"
        if number % FILES_PER_FOLDER == 0:
            inside.mkdir()
        ending, pool = pools[number % len(pools)]
        (inside / f"tensor-{number:06}.{ending}").write_bytes(pool[start : start + length])


def small_sizes(random: np.random.Generator, count: int) -> list[int]:
    """Sizes of small files; each second one has too little what the one before has too much."""
    differences = random.integers(SMALL_SIZE // 2, size=-(-count // 2))
    pairs = ((SMALL_SIZE + int(each), SMALL_SIZE - int(each)) for each in differences)
    return list(chain.from_iterable(pairs))[:count]


def compress(source: Path, target: Path) -> None:
    """Compress as `tar czf` does."""
    program = shutil.which("pigz") or "gzip"
    with source.open("rb") as tar, target.open("wb") as packed:
        subprocess.run([program, "-6"], stdin=tar, stdout=packed, check=True)


def make(folder: Path, kind: str, size: int) -> None:
    """Make the folder `model`, `model.tar` and `model.tar.gz`."""
    model = folder / "model"
    model.mkdir()
    if kind == "small":
        write_small_files(model, size)
    else:
        write_weights(model / "weights.bin", kind, size)
    tar = folder / "model.tar"
    subprocess.run(["tar", "cf", str(tar), "--sort=name", "-C", str(model), "."], check=True)
    compress(tar, folder / "model.tar.gz")
    os.sync()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("size", type=int, help="bytes of weights")
    arguments = parser.parse_args()
    make(arguments.folder, arguments.kind, arguments.size)
