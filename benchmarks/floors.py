"""What packaging costs at the least: the one serial thing that has to be done to every byte.

* `openssl dgst -sha256` of the uncompressed tar: every byte must be hashed once.
* `igzip -t` of the compressed tar: every byte must be inflated once, and its CRC taken. It comes with ISA-L (package
  `isal` of Debian); where it is missing, the same library inflates under Python.

Hashing and inflating go on side by side, so the slower one is the floor: hashing for what does not compress, inflating
for everything else.
"""

import shutil
import sys

KINDS = ("random", "float32", "small")
"""The kinds of model that are measured: see package_inputs.py."""

IGZIP = shutil.which("igzip")

HASHING = "openssl dgst -sha256"
INFLATING = "igzip -t" if IGZIP else "isal inflate"

INFLATE_PROGRAM = """
import sys
from isal import igzip_lib
inflater = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
with open(sys.argv[1], "rb", buffering=0) as file:
    while not inflater.eof:
        inflater.decompress(file.read(1 << 18) if inflater.needs_input else b"", 1 << 17)
"""
"""In blocks that malloc does not give back each time: page faults for larger ones took 0.7 s per GB."""

COMMANDS: dict[str, tuple[str, ...]] = {
    HASHING: ("openssl", "dgst", "-sha256", "model.tar"),
    INFLATING: (IGZIP, "-t", "model.tar.gz") if IGZIP else (sys.executable, "-c", INFLATE_PROGRAM, "model.tar.gz"),
}
"""Run in a model's folder."""


def floor_of(kind: str) -> str:
    """Which of the two is the floor for a kind of model."""
    return HASHING if kind == "random" else INFLATING
