"""Fuzz the archive reader, guided by the coverage of `edgepack.package`.

`make fuzz` runs it for FUZZ_SECONDS (60). By hand, with libFuzzer's options; what is found goes to the first folder:

    PYTHONPATH=src:tests:fuzz .venvs/atheris/bin/python fuzz/fuzz_archive.py .fuzz/archive fuzz/corpus/archive

An input that breaks it is written to `crash-…`; given as the only argument, it is run again. Add it to
`fuzz/corpus/archive` once it is mended: `tests/package/test_fuzz_corpus.py` runs all of these.
"""

import sys
from random import Random

import atheris

from blocks import with_other_blocks

with atheris.instrument_imports(include=["edgepack.package"]):
    from fuzz_targets import check_archive


def mutated(data: bytes, size_max: int, seed: int) -> bytes:
    """By libFuzzer, or block by block, or both."""
    random = Random(seed)
    kinds = random.choice(["bytes", "blocks", "both"])
    if kinds != "bytes":
        data = with_other_blocks(data, random)
    if kinds != "blocks":
        data = atheris.Mutate(data, size_max)
    return data[:size_max]


if __name__ == "__main__":
    atheris.Setup(sys.argv, check_archive, custom_mutator=mutated)
    atheris.Fuzz()
