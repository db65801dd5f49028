"""pax headers and GNU long names: followed where every reader follows them, otherwise the archive is refused."""

import io
import tarfile
from collections.abc import Callable

import pytest

from edgepack.package import errors
from package.splicing import paths, scanned
from package.tar_blocks import END, content, extended, header, patched, record

Refusal = tuple[str, Callable[[], list[bytes]], type[Exception], str]


def of_signed_bytes() -> bytes:
    """A header whose checksum is right where bytes have signs, as in some old tars."""
    block = patched(header("hidden"), 500, b"\xff")
    return block[:148] + b"%06o\0 " % (int(block[148:154], 8) - 256) + block[156:]


def test_what_says_where_a_file_goes_is_followed() -> None:
    assert paths(extended(record("path", "long/path")), header("short"), END) == ["long/path"]
    assert paths(extended(b"long/name\0", b"L"), header("short"), END) == ["long/name"]
    assert scanned(extended(record("size", "5")), header("a", 5), content(b"12345"), END).files[0].size == 5


@pytest.mark.parametrize("opening", [b"12345", b"\x08" + bytes(511), b"\x08" + bytes(147) + b"0000010\0" + bytes(356)])
def test_a_size_that_no_header_can_say_is_followed(opening: bytes) -> None:
    """As far as there is a file: in what begins so, no reader finds further members."""
    with pytest.raises(errors.TruncatedError):
        scanned(extended(record("size", str(8 << 30))), header("a", 0), content(opening), END)


def test_what_changes_nothing_is_passed_over() -> None:
    data = record("mtime", "1700000000.5") + record("uname", "me") + record("SCHILY.xattr.user.x", "1")
    assert paths(extended(data), header("a"), END) == ["a"]
    assert paths(extended(record("comment", "a commit"), b"g"), header("a"), END) == ["a"]


def test_python_agrees_about_what_is_read() -> None:
    tar = (
        extended(record("path", "dir/long")) + header("short", 3) + content(b"abc") + header("plain", 1) + content(b"x")
    )
    with tarfile.open(fileobj=io.BytesIO(tar + END)) as read:
        assert read.getnames() == paths(tar, END)


REFUSED: list[Refusal] = [
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
        "pax size by the header otherwise",
        lambda: [extended(record("size", str(8 << 30))), header("a", 3), content(b"abc")],
        errors.UnsupportedMemberError,
        "3 bytes by one header and 8589934592 by another",
    ),
    (
        "pax size before a header",
        lambda: [extended(record("size", str(8 << 30))), header("a"), header("hidden")],
        errors.UnsupportedMemberError,
        "'a', whose size only an extended header has, begins",
    ),
    (
        "pax size before a header of signed bytes",
        lambda: [extended(record("size", str(8 << 30))), header("a"), of_signed_bytes()],
        errors.UnsupportedMemberError,
        "'a', whose size only an extended header has, begins",
    ),
    (
        "pax size before an end",
        lambda: [extended(record("size", str(8 << 30))), header("a"), b"\0" + b"x" * 511],
        errors.UnsupportedMemberError,
        "'a', whose size only an extended header has, begins",
    ),
    (
        "pax path not composed",
        lambda: [extended(record("path", "a\u0308")), header()],
        errors.UnsafeMemberError,
        "not in Unicode's composed form",
    ),
    (
        "pax charset in a keyword",
        lambda: [extended(record("SCHILY.xattr.9 hdrcharset", "BINARY")), header()],
        errors.UnsupportedMemberError,
        "character set in 'SCHILY.xattr.9 hdrcharset'",
    ),
    (
        "pax NUL in a keyword",
        lambda: [extended(record("SCHILY.xattr.a\0b", "")), header()],
        errors.TarError,
        "malformed",
    ),
    (
        "pax record of 1 MB",
        lambda: [extended(record("comment", "x" * 1_000_000)), header()],
        errors.TarError,
        "malformed",
    ),
]


@pytest.mark.parametrize(("blocks", "error", "says"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_it_is_refused_and_named(blocks: Callable[[], list[bytes]], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        scanned(*blocks(), END)
