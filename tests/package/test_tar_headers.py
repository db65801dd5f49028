"""Headers, padding and the archive's end: wherever two readers are known to see different things, it is refused."""

import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgepack.package import errors
from edgepack.package.scan import scan_archive
from package.splicing import chunked, paths, scanned
from package.tar_blocks import END, content, extended, header, patched, record

MAGICS = (b"ustar\x0000", b"ustar  \0")
"""Of POSIX and of GNU."""

Refusal = tuple[str, Callable[[], list[bytes]], type[Exception], str]


def test_headers_of_both_forms_are_read() -> None:
    assert paths(*(patched(header(f"a{n}"), 257, magic) for n, magic in enumerate(MAGICS)), END) == ["a0", "a1"]


@pytest.mark.parametrize("form", ["v7", "gnu", "ustar", "pax"])
def test_what_gnu_tar_writes(form: str, tmp_path: Path) -> None:
    """Of v7 nothing is packaged, and it is said what to do."""
    (tmp_path / "model").write_bytes(b"weights")
    command = ["tar", f"--format={form}", "-czf", "-", "-C", str(tmp_path), "."]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    if form != "v7":
        assert [file.path for file in scan_archive([archive]).files] == ["model"]
        return
    with pytest.raises(errors.UnsupportedMemberError, match=r"'\./' is of the form before ustar \(v7\)") as caught:
        scan_archive([archive])
    assert "--format=gnu" in caught.value.advice


@pytest.mark.parametrize(
    "field", [bytes(8), b" " * 7 + b"\0", b"\x80" + bytes(7), b"77777777", b"     644", b"644 \0\0 \0"]
)
def test_numbers_are_written_in_many_ways(field: bytes) -> None:
    assert paths(patched(header("a"), 100, field), END) == ["a"]


def test_sizes_as_gnu_writes_large_numbers() -> None:
    large = patched(header("a"), 124, b"\x80" + (5).to_bytes(11, "big"))
    assert scanned(large, content(b"12345"), END).files[0].size == 5


@pytest.mark.parametrize("chunk", [1, 511, 512, 513])
def test_however_the_bytes_arrive(chunk: int) -> None:
    archive = gzip.compress(extended(record("path", "p")) + header("a", 700) + content(bytes(700)) + header("b") + END)
    assert scan_archive(chunked(archive, chunk)) == scan_archive([archive])


def test_an_archive_must_end() -> None:
    for rest in (b"", bytes(512), bytes(1023)):
        with pytest.raises(errors.TruncatedError):
            scanned(header("a"), rest)
    with pytest.raises(errors.TruncatedError):
        scanned(header("a", 5000), bytes(100))


REFUSED: list[Refusal] = [
    ("GNU sparse", lambda: [header("holes", 0, b"S")], errors.UnsupportedMemberError, "'holes' is a GNU sparse"),
    ("multi-volume", lambda: [header("part", 0, b"M")], errors.UnsupportedMemberError, "'part' is a continued"),
    ("contiguous", lambda: [header("c", 0, b"7")], errors.UnsupportedMemberError, "'c' is a contiguous"),
    ("unknown type", lambda: [header("odd", 0, b"Z")], errors.UnsupportedMemberError, "'odd' is of the unknown type"),
    ("symbolic link", lambda: [header("l", 0, b"2", linkname="a")], errors.UnsupportedMemberError, "'l' is a symbolic"),
    (
        "folder with content",
        lambda: [header("d", 5, b"5"), content(b"12345")],
        errors.UnsupportedMemberError,
        "'d/' claims",
    ),
    (
        "unknown magic",
        lambda: [header("a"), patched(header("b"), 257, b"ustaz")],
        errors.TarError,
        "'b'.*unknown format",
    ),
    ("GNU fields", lambda: [patched(header("a"), 345, b"12345")], errors.UnsupportedMemberError, "'a'"),
    ("negative size", lambda: [patched(header("a"), 124, b"\xff" * 12)], errors.TarError, "'a'.*size"),
    ("no size", lambda: [patched(header("a"), 124, b"x" * 12)], errors.TarError, "'a'"),
    (
        "old file called as a folder",
        lambda: [extended(b"x\0", b"L"), patched(header("d", 0, b"\0"), 0, b"d/")],
        errors.UnsupportedMemberError,
        "'d/' is named as folders are",
    ),
    ("target without a link", lambda: [header("a", linkname="b")], errors.UnsupportedMemberError, "'a' has a link's"),
    (
        "time beyond clocks",
        lambda: [patched(header("a"), 136, b"\x80" + (1 << 62).to_bytes(11, "big"))],
        errors.UnsupportedMemberError,
        "modification time of 'a' is out of range",
    ),
    (
        "owner below zero",
        lambda: [patched(header("a"), 108, b"\xff" * 8)],
        errors.UnsupportedMemberError,
        "user id of 'a' is out of range",
    ),
    (
        "mode beyond integers",
        lambda: [patched(header("a"), 100, b"\x80" + b"\xff" * 7)],
        errors.UnsupportedMemberError,
        "mode of 'a' is out of range",
    ),
    (
        "mode of 25 bits",
        lambda: [patched(header("a"), 100, b"\x80" + (1 << 24).to_bytes(7, "big"))],
        errors.UnsupportedMemberError,
        "mode of 'a' is out of range",
    ),
    ("fields behind the prefix", lambda: [patched(header("a"), 500, b"x")], errors.UnsupportedMemberError, "'a'"),
    ("blank mode", lambda: [patched(header("a"), 100, b" " * 8)], errors.TarError, "mode of 'a' is not a number"),
    (
        "claims too much",
        lambda: [patched(header("a"), 124, b"\x80" + (1 << 60).to_bytes(11, "big"))],
        errors.ArchiveTooLargeError,
        "'a' claims",
    ),
    (
        "wrong checksum",
        lambda: [header("a"), header("b")[:148] + b"000000\0 " + header("b")[156:]],
        errors.TarError,
        "checksum",
    ),
    ("hidden in padding", lambda: [header("a", 3), b"123" + b"x" * 509], errors.TarError, "padding"),
    ("behind the end", lambda: [header("a"), END, header("b")], errors.TrailingDataError, "end marker"),
    ("behind one zero block", lambda: [header("a"), bytes(512), header("b")], errors.TrailingDataError, "zero block"),
]


@pytest.mark.parametrize(("blocks", "error", "says"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_it_is_refused_and_named(blocks: Callable[[], list[bytes]], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        scanned(*blocks(), END)
