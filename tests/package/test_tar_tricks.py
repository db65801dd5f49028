"""Tar's dark corners: wherever two readers are known to see different things, the archive is refused."""

import gzip
import io
import tarfile
from collections.abc import Callable

import pytest

from edgepack.package import errors
from edgepack.package.scan import ArchiveScan, scan_archive
from package.splicing import chunked
from package.tar_blocks import END, content, extended, header, patched, record


def scan(*blocks: bytes) -> ArchiveScan:
    return scan_archive([gzip.compress(b"".join(blocks))])


def paths(*blocks: bytes) -> list[str]:
    return [file.path for file in scan(*blocks).files]


# --- what is read


def test_extended_headers_that_say_where_a_file_goes_are_followed() -> None:
    assert paths(extended(record("path", "long/path")), header("short"), END) == ["long/path"]
    assert paths(extended(b"long/name\0", b"L"), header("short"), END) == ["long/name"]
    assert scan(extended(record("size", "5")), header("a", 5), content(b"12345"), END).files[0].size == 5
    with pytest.raises(errors.TruncatedError):  # so far it was accepted: what no header can say
        scan(extended(record("size", str(8 << 30))), header("a", 0), content(b"12345"), END)


def test_extended_headers_that_change_nothing_are_passed_over() -> None:
    data = record("mtime", "1700000000.5") + record("uname", "me") + record("SCHILY.xattr.user.x", "1")
    assert paths(extended(data), header("a"), END) == ["a"]
    assert paths(extended(record("comment", "a commit"), b"g"), header("a"), END) == ["a"]


def test_old_headers_without_a_magic_are_read() -> None:
    assert paths(patched(header("a"), 257, bytes(8)), END) == ["a"]


def test_sizes_as_gnu_writes_large_numbers() -> None:
    large = patched(header("a"), 124, b"\x80" + (5).to_bytes(11, "big"))
    assert scan(large, content(b"12345"), END).files[0].size == 5


@pytest.mark.parametrize("chunk", [1, 511, 512, 513])
def test_however_the_bytes_arrive(chunk: int) -> None:
    archive = gzip.compress(extended(record("path", "p")) + header("a", 700) + content(bytes(700)) + header("b") + END)
    assert scan_archive(chunked(archive, chunk)) == scan_archive([archive])


# --- what is refused

REFUSED: list[tuple[str, Callable[[], list[bytes]], type[Exception], str]] = [
    ("pax path out", lambda: [extended(record("path", "../x")), header()], errors.UnsafeMemberError, r"'\.\./x'"),
    ("pax path absolute", lambda: [extended(record("path", "/x")), header()], errors.UnsafeMemberError, "'/x'"),
    (
        "pax path of the manifest",
        lambda: [extended(record("path", "./sagemaker_edge_manifest")), header()],
        errors.ForeignManifestError,
        "sagemaker_edge_manifest",
    ),
    (
        "pax size other than the header's",
        lambda: [extended(record("size", "5")), header("a", 0), content(b"12345")],
        errors.UnsupportedMemberError,
        "0 bytes by one header and 5 by another",
    ),
    ("manifest in capitals", lambda: [header("SageMaker_Edge_Manifest")], errors.ForeignManifestError, "SageMaker"),
    ("long name out", lambda: [extended(b"../x\0", b"L"), header()], errors.UnsafeMemberError, r"'\.\./x'"),
    ("long name with NUL", lambda: [extended(b"a\0b\0", b"L"), header()], errors.TarError, "NUL"),
    ("long link", lambda: [extended(b"x\0", b"K"), header()], errors.UnsupportedMemberError, "long link"),
    ("pax link", lambda: [extended(record("linkpath", "/x")), header()], errors.UnsupportedMemberError, "linkpath"),
    (
        "pax sparse",
        lambda: [extended(record("GNU.sparse.major", "1")), header()],
        errors.UnsupportedMemberError,
        "GNU.sparse.major",
    ),
    ("pax twice", lambda: [extended(record("path", "x") + record("path", "y")), header()], errors.TarError, "twice"),
    ("pax wrong length", lambda: [extended(b"99 path=x\n"), header()], errors.TarError, "malformed"),
    ("pax no equals", lambda: [extended(b"7 path\n"), header()], errors.TarError, "malformed"),
    ("pax empty path", lambda: [extended(record("path", "")), header()], errors.TarError, "empty path"),
    ("pax negative size", lambda: [extended(record("size", "-1")), header()], errors.TarError, "not a number"),
    (
        "pax charset",
        lambda: [extended(record("hdrcharset", "BINARY")), header()],
        errors.UnsupportedMemberError,
        "not UTF-8",
    ),
    ("pax for no one", lambda: [extended(record("path", "x"))], errors.TarError, "belongs to no member"),
    (
        "pax after long name",
        lambda: [extended(b"y\0", b"L"), extended(record("path", "x")), header()],
        errors.UnsupportedMemberError,
        "follows another",
    ),
    (
        "global path",
        lambda: [extended(record("path", "x"), b"g"), header()],
        errors.UnsupportedMemberError,
        "all members",
    ),
    (
        "pax of 2 MiB",
        lambda: [header("ext", 2 << 20, b"x"), bytes(2 << 20), header()],
        errors.ArchiveTooLargeError,
        "1048576",
    ),
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
    ("folder out", lambda: [header("../d", 0, b"5")], errors.UnsafeMemberError, r"\.\./d"),
    ("folder twice", lambda: [header("d", 0, b"5"), header("d", 0, b"5")], errors.DuplicateMemberError, "'d'"),
    ("file in a file", lambda: [header("d"), header("d/x")], errors.DuplicateMemberError, "'d'"),
    ("file over a folder", lambda: [header("d/x"), header("d")], errors.DuplicateMemberError, "'d'"),
    ("folders by case", lambda: [header("d/x"), header("D/y")], errors.DuplicateMemberError, "'D'"),
    ("trailing dot", lambda: [header("a"), header("a.")], errors.DuplicateMemberError, "'a.'"),
    ("backslash", lambda: [header("a\\b")], errors.UnsafeMemberError, "backslash"),
    ("drive", lambda: [header("C:x")], errors.UnsafeMemberError, "drive"),
    ("line feed", lambda: [header("a\nb")], errors.UnsafeMemberError, "control character"),
    ("right to left", lambda: [extended("x\u202egpj\0".encode(), b"L"), header()], errors.UnsafeMemberError, "control"),
    ("not UTF-8", lambda: [patched(header("a"), 0, b"a\xff")], errors.UnsafeMemberError, "not UTF-8"),
    ("empty component", lambda: [header("a//b")], errors.UnsafeMemberError, "empty component"),
    ("no name", lambda: [patched(header("a"), 0, bytes(1))], errors.UnsafeMemberError, "empty name"),
    ("the folder as file", lambda: [header(".")], errors.UnsafeMemberError, "folder itself"),
    ("long component", lambda: [extended(b"c" * 256 + b"\0", b"L"), header()], errors.UnsafeMemberError, "255 bytes"),
    (
        "wrong checksum",
        lambda: [header("a"), header("b")[:148] + b"000000\0 " + header("b")[156:]],
        errors.TarError,
        "checksum",
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
    ("hidden in padding", lambda: [header("a", 3), b"123" + b"x" * 509], errors.TarError, "padding"),
    ("behind the end", lambda: [header("a"), END, header("b")], errors.TrailingDataError, "end marker"),
    ("behind one zero block", lambda: [header("a"), bytes(512), header("b")], errors.TrailingDataError, "zero block"),
    (
        "old file called as a folder",
        lambda: [extended(b"x\0", b"L"), patched(header("d", 0, b"\0"), 0, b"d/")],
        errors.UnsupportedMemberError,
        "'d/' is named as folders are",
    ),
    ("file as its folder", lambda: [header("a/.")], errors.UnsafeMemberError, "'a/.' names the folder itself"),
    ("target without a link", lambda: [header("a", linkname="b")], errors.UnsupportedMemberError, "'a' has a link's"),
    (
        "own name of the manifest",
        lambda: [extended(record("path", "x")), header("./sagemaker_edge_manifest")],
        errors.ForeignManifestError,
        "the manifest's, to readers without extended headers",
    ),
    (
        "no own name",
        lambda: [extended(b"x\0", b"L"), patched(header(), 0, b"\0")],
        errors.UnsafeMemberError,
        "empty name",
    ),
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
    ("blank mode", lambda: [patched(header("a"), 100, b" " * 8)], errors.TarError, "mode of 'a' is not a number"),
    ("pax owner", lambda: [extended(record("uid", "1.5")), header()], errors.TarError, "uid that is not a number"),
    (
        "pax time beyond clocks",
        lambda: [extended(record("mtime", "9" * 12)), header()],
        errors.UnsupportedMemberError,
        "mtime that is out of range",
    ),
    (
        "pax charset inside",
        lambda: [extended(record("comment", "1 hdrcharset=BINARY")), header()],
        errors.UnsupportedMemberError,
        "character set in 'comment'",
    ),
    ("pax owner's name", lambda: [extended(record("gname", b"\xff")), header()], errors.TarError, "not UTF-8"),
    (
        "global for no one",
        lambda: [header(), extended(record("comment", "x"), b"g")],
        errors.TarError,
        "belongs to no member",
    ),
    (
        "global twice",
        lambda: [extended(record("comment", "x"), b"g") * 2, header()],
        errors.UnsupportedMemberError,
        "'ext' follows another",
    ),
    (
        "claims too much",
        lambda: [patched(header("a"), 124, b"\x80" + (1 << 60).to_bytes(11, "big"))],
        errors.ArchiveTooLargeError,
        "'a' claims",
    ),
]


@pytest.mark.parametrize(("blocks", "error", "says"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_it_is_refused_and_named(blocks: Callable[[], list[bytes]], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        scan(*blocks(), END)


def test_an_archive_must_end() -> None:
    for rest in (b"", bytes(512), bytes(1023)):
        with pytest.raises(errors.TruncatedError):
            scan(header("a"), rest)
    with pytest.raises(errors.TruncatedError):
        scan(header("a", 5000), bytes(100))


def test_a_hostile_name_is_shown_short_and_plain() -> None:
    with pytest.raises(errors.UnsafeMemberError) as caught:
        scan(extended(b"\x1b[31m" + b"z" * 3000 + b"\0", b"L"), header(), END)
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 300


def test_python_agrees_about_what_is_read() -> None:
    tar = (
        extended(record("path", "dir/long")) + header("short", 3) + content(b"abc") + header("plain", 1) + content(b"x")
    )
    with tarfile.open(fileobj=io.BytesIO(tar + END)) as read:
        assert read.getnames() == paths(tar, END)
