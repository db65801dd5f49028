"""What is worth compressing is compressed, the rest is stored, and every inflater reads the one stream they make."""

import gzip
import os
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.package import deflating
from edgepack.package.deflating import PIECE_SIZE, AdaptiveDeflater
from models import tar_gz
from package.conftest import Package
from package.splicing import chunked

NOISE = os.urandom(PIECE_SIZE)
TEXT = b"".join(b"layer.%d.weight\n" % number for number in range(60_000))[:PIECE_SIZE]
STEPS = {"noise": NOISE, "text": TEXT}


def deflated(data: bytes, chunk: int) -> bytes:
    pieces: list[bytes] = []
    deflater = AdaptiveDeflater(pieces.append)
    for part in chunked(data, chunk):
        deflater.take(part)
    deflater.finish()
    return b"".join(pieces)


@given(
    steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, PIECE_SIZE)), max_size=6),
    chunk=st.integers(50_000, 2 * PIECE_SIZE),
)
def test_whatever_follows_what(steps: list[tuple[str, int]], chunk: int) -> None:
    data = b"".join(STEPS[kind][:size] for kind, size in steps)
    stream = deflated(data, chunk)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    assert inflater.decompress(stream) == data
    assert inflater.eof
    assert inflater.unused_data == b""


def test_what_does_not_shrink_is_stored() -> None:
    stream = deflated(NOISE * 3, 100_000)
    assert NOISE[1000:60_000] in stream
    assert len(stream) - 3 * len(NOISE) < len(stream) / 5000


def test_what_shrinks_does_so_between_what_does_not() -> None:
    stream = deflated(NOISE + TEXT + NOISE, PIECE_SIZE)
    assert len(stream) - 2 * len(NOISE) < len(TEXT) / 4


def test_nothing_at_all_is_a_stream_too() -> None:
    assert zlib.decompress(deflated(b"", 1), -zlib.MAX_WBITS) == b""


@pytest.mark.parametrize("worthwhile", [0.0, 2.0], ids=["all stored", "all compressed"])
def test_the_sample_only_settles_how(monkeypatch: pytest.MonkeyPatch, worthwhile: float) -> None:
    monkeypatch.setattr(deflating, "WORTHWHILE", worthwhile)
    data = NOISE[:70_000] + TEXT
    stream = deflated(data, 65_000)
    assert zlib.decompress(stream, -zlib.MAX_WBITS) == data
    assert (len(stream) > len(data)) is (worthwhile == 0.0)


def test_a_package_of_both_is_read_by_gzip_and_tar(tmp_path: Path, package: Package) -> None:
    files = {"noise": NOISE + NOISE, "text": TEXT, "more": NOISE}
    tar = gzip.decompress(tar_gz(files))
    members = gzip.compress(tar[:100_000], 1) + gzip.compress(tar[100_000:], 1)
    path = tmp_path / "package.tar.gz"
    path.write_bytes(package(members))
    subprocess.run(["gzip", "-t", path], check=True)
    subprocess.run(["tar", "xzf", path, "-C", tmp_path], check=True)
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
