"""Fuzz the verifier, guided by the coverage of `edgepack.package`.

As `fuzz_archive.py`, with `fuzz/corpus/package`. Its inputs are a manifest and a tar stream, which are framed anew, so
that mutations get past the checksums of gzip and the one spelling of the head.
"""

import sys

import atheris

with atheris.instrument_imports(include=["edgepack.package"]):
    from fuzz_targets import check_package

if __name__ == "__main__":
    atheris.Setup(sys.argv, check_package)
    atheris.Fuzz()
