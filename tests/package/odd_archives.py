"""Archives at the edge of what tar is, by hand: some that everybody reads alike, some that nobody should package."""

import gzip
from collections.abc import Callable

from package.tar_blocks import END, content, extended, header, patched, record

POSIX, GNU, OLD = b"ustar\x0000", b"ustar  \0", bytes(8)
NAME, MODE, UID, SIZE, MTIME, KIND, LINK, MAGIC, DEVICES, PREFIX = 0, 100, 108, 124, 136, 156, 157, 257, 329, 345
"""Where a header's fields start."""

HIDDEN = header("hidden", 3) + content(b"bad")
"""A member that stands where only the content of another one should."""


def packed(*blocks: bytes, end: bytes = END) -> bytes:
    """A gzip file of one member."""
    return gzip.compress(b"".join(blocks) + end, 1, mtime=0)


def file(name: str = "a", data: bytes = b"abc") -> bytes:
    """A regular file."""
    return header(name, len(data)) + content(data)


def altered(start: int, data: bytes) -> bytes:
    """A file whose header has other bytes at one place."""
    return patched(header("a", 3), start, data) + content(b"abc")


def around_hidden(own: bytes, kind: bytes = b"0") -> bytes:
    """A file with some name in its header, whose content looks like a further member."""
    return patched(patched(header("own", len(HIDDEN)), NAME, own.ljust(3, b"\0")), KIND, kind) + HIDDEN


def in_two_fields(prefix: bytes, name: bytes, magic: bytes = POSIX) -> bytes:
    """A file whose name is in two fields."""
    block = patched(patched(header("?", 3), MAGIC, magic), NAME, name)
    return patched(block, PREFIX, prefix) + content(b"abc")


def base256(number: int, width: int = 12) -> bytes:
    """A number as GNU writes large and negative ones."""
    return b"\x80" + number.to_bytes(width - 1, "big") if number >= 0 else number.to_bytes(width, "big", signed=True)


def called(path: str | bytes, member: bytes) -> bytes:
    """A member behind a pax header that names it."""
    return extended(record("path", path)) + member


def long_name(path: bytes, member: bytes) -> bytes:
    """A member behind a GNU long name."""
    return extended(path, b"L") + member


def of_type(kind: str) -> Callable[[], bytes]:
    """A file that says it is of another type."""
    return lambda: packed(altered(KIND, kind.encode()))


READ: dict[str, Callable[[], bytes]] = {
    "old type": lambda: packed(altered(KIND, b"\0")),
    "names at the edge": lambda: packed(file("n" * 100), file("o" * 101), file("d/" * 78 + "p" * 100), file("q" * 255)),
    "two fields": lambda: packed(in_two_fields(b"p" * 155, b"n" * 100), in_two_fields(b"o", b"n")),
    "two fields and pax": lambda: packed(called("real", in_two_fields(b"p", b"n"))),
    "two fields and long name": lambda: packed(long_name(b"real\0", in_two_fields(b"p", b"n"))),
    "no NUL": lambda: packed(long_name(b"real", file())),
    "cut behind a slash": lambda: packed(long_name(b"real\0", around_hidden(b"x/"))),
    "cut behind a slash, pax": lambda: packed(called("real", around_hidden(b"x/"))),
    "own names twice": lambda: packed(called("one", file()), called("two", file())),
    "dots": lambda: packed(header("./", 0, b"5"), file("./a"), file("././b"), file("d/./c")),
    "folder by a dot": lambda: packed(header("d/.", 0, b"5"), file("d/a")),
    "folder without slash": lambda: packed(patched(header("d", 0, b"5"), NAME, b"d\0"), file("d/a")),
    "folder behind its file": lambda: packed(file("d/a"), header("d", 0, b"5")),
    "closed folder": lambda: packed(header("d", 0, b"5", mode=0), file("d/a")),
    "like options": lambda: packed(file("-rf"), file("--help"), file("~"), file(" b"), file("c*?[")),
    "not composed": lambda: packed(altered(NAME, "a\u0308".encode()), long_name("e\u0301".encode(), file())),
    "composed": lambda: packed(called("\xe4", file()), called("\u0915\u093c", file())),
    "other scripts": lambda: packed(file("ä漢"), called("ж/\U0001f600", file())),
    "tar's own names": lambda: packed(file("././@LongLink"), file("PaxHeaders.0/a"), file("GNUSparseFile.0/a")),
    "nearly Apple's names": lambda: packed(file(".a"), file("_._a"), file("._d/a"), file("d/.a._")),
    "Apple's names that pax replaces": lambda: packed(called("a", file("._a")), long_name(b"b\0", file("d/._b"))),
    "size in base 256": lambda: packed(altered(SIZE, base256(3))),
    "size of twelve digits": lambda: packed(altered(SIZE, b"000000000003")),
    "size behind spaces": lambda: packed(altered(SIZE, b"          3 ")),
    "before 1970": lambda: packed(altered(MTIME, base256(-5))),
    "year 9999": lambda: packed(altered(MTIME, base256(253_402_300_799)), called("b", file())),
    "largest owner": lambda: packed(altered(UID, base256(2**32 - 2, 8))),
    "no mode, no owner": lambda: packed(altered(MODE, bytes(24))),
    "every mode": lambda: packed(altered(MODE, b"7" * 8)),
    "no devices": lambda: packed(altered(DEVICES, b" " * 16), patched(header("b"), DEVICES, bytes(16))),
    "pax size": lambda: packed(extended(record("size", "0003")), file()),
    "pax times": lambda: packed(extended(record("mtime", "-5.5") + record("uid", "4294967294")), file()),
    "pax attributes": lambda: packed(extended(record("SCHILY.xattr.user.x", b"\0\xff\n")), file()),
    "pax comment": lambda: packed(extended(record("comment", b"\xff" * 900_000)), file()),
    "pax charset": lambda: packed(extended(record("hdrcharset", "ISO-IR 10646 2000 UTF-8")), file()),
    "global headers": lambda: packed(extended(record("comment", "x"), b"g") + called("b", file()), file()),
    "zeros behind": lambda: packed(file(), bytes(20_480)),
    "members of gzip": lambda: packed(file(), end=b"") + packed(file("b"), end=b"") + packed(),
    "empty member of gzip": lambda: packed(file()) + packed(end=b""),
}
"""What everybody reads alike."""

REFUSED: dict[str, Callable[[], bytes]] = {
    "twice": lambda: packed(file(), file(data=b"other")),
    "twice, by a dot": lambda: packed(file("d/a"), file("./d/./a", b"other")),
    "twice, by pax": lambda: packed(file("b"), called("b", file(data=b"other"))),
    "twice, by long name": lambda: packed(file("b"), long_name(b"b\0", file(data=b"other"))),
    "one by case": lambda: packed(file("d/a"), file("D/b")),
    "one by folded case": lambda: packed(file("stra\xdfe"), file("STRASSE")),
    "one by Unicode form": lambda: packed(file("\xe4"), file("a\u0308")),
    "one by what shows nothing": lambda: packed(file("a"), file("a\u200d")),
    "one by a variation of nothing": lambda: packed(file("a"), file("a\ufe0f")),
    "Apple's name": lambda: packed(file("._a"), file("a")),
    "Apple's name, alone": lambda: packed(file("d/._a")),
    "Apple's name, by pax": lambda: packed(called("._a", file("b"))),
    "Apple's name, of a folder": lambda: packed(header("._d", 0, b"5"), file("a")),
    "hard link": lambda: packed(file("b"), header("a", kind=b"1", linkname="b")),
    "hard link with content": lambda: packed(file("b"), header("a", 3, b"1", linkname="b"), content(b"bad")),
    "hard link to the manifest": lambda: packed(file("b"), header("a", kind=b"1", linkname="sagemaker_edge_manifest")),
    "hard link, then its file": lambda: packed(file("b"), header("a", kind=b"1", linkname="b"), file("a", b"bad")),
    "through a symbolic link": lambda: packed(header("d", kind=b"2", linkname=".."), file("d/a")),
    "short name of the manifest": lambda: packed(file("SAGEMA~1")),
    "old type, folder's name": lambda: packed(long_name(b"real\0", around_hidden(b"x/", b"\0"))),
    "the same, pax": lambda: packed(called("real", around_hidden(b"x/", b"\0"))),
    "file with a slash": lambda: packed(altered(NAME, b"a/")),
    "file with a dot": lambda: packed(file("a/.")),
    "empty own name": lambda: packed(long_name(b"real\0", around_hidden(b""))),
    "empty own name, pax": lambda: packed(called("real", around_hidden(b""))),
    "nameless pax": lambda: packed(patched(called("b", file())[:512], NAME, bytes(3)), called("b", file())[512:]),
    "NUL in a name": lambda: packed(altered(NAME, b"a\0b")),
    "NUL in a long name": lambda: packed(long_name(b"b\0c\0", file())),
    "NUL in a pax path": lambda: packed(called(b"b\0c", file())),
    "NUL in a pax keyword": lambda: packed(extended(record("SCHILY.xattr.a\0b", "")), file()),
    "NUL in an own name": lambda: packed(called("b", altered(NAME, b"a\0b"))),
    "file with a target": lambda: packed(file("b"), altered(LINK, b"b")),
    "empty file with a target": lambda: packed(file("b"), patched(header("a"), LINK, b"b")),
    "own name of the manifest": lambda: packed(called("b", file("sagemaker_edge_manifest"))),
    "long name over the manifest": lambda: packed(long_name(b"b\0", file("./x/../SageMaker_Edge_Manifest"))),
    "pax called as the manifest": lambda: packed(
        header("sagemaker_edge_manifest", 10, b"x"), content(record("path", "b")), file()
    ),
    "old form": lambda: packed(altered(MAGIC, OLD)),
    "old folder": lambda: packed(patched(header("d", 0, b"5"), MAGIC, OLD), file("d/a")),
    "old form of pax": lambda: packed(
        patched(header("ext", 10, b"x"), MAGIC, OLD), content(record("path", "b")), file()
    ),
    "mode beyond integers": lambda: packed(altered(MODE, base256(2**56 - 1, 8))),
    "mode below zero": lambda: packed(altered(MODE, base256(-1, 8))),
    "old form in two fields": lambda: packed(in_two_fields(b"p", b"n", OLD)),
    "GNU in two fields": lambda: packed(in_two_fields(b"p", b"n", GNU)),
    "prefix with a slash": lambda: packed(in_two_fields(b"p/", b"n")),
    "prefix without a name": lambda: packed(in_two_fields(b"p", b"\0")),
    "prefix with a NUL": lambda: packed(in_two_fields(b"p\0q", b"n")),
    "no such time": lambda: packed(altered(MTIME, base256(2**70))),
    "no such time, before": lambda: packed(altered(MTIME, base256(-(2**70)))),
    "blank mode": lambda: packed(altered(MODE, b" " * 8)),
    "blank time": lambda: packed(altered(MTIME, b" " * 12)),
    "owner too large": lambda: packed(altered(UID, base256(2**32, 8))),
    "owner below zero": lambda: packed(altered(UID, base256(-1, 8))),
    "negative size": lambda: packed(altered(SIZE, base256(-512))),
    "size with a sign": lambda: packed(altered(SIZE, b"-0000000003\0")),
    "size in base 64": lambda: packed(altered(SIZE, b"+AAAAAAAAAAD")),
    "largest octal size": lambda: packed(altered(SIZE, b"777777777777")),
    "size of 63 bits": lambda: packed(altered(SIZE, base256(2**63 + 3))),
    "size beyond 64 bits": lambda: packed(altered(SIZE, base256(2**64 + 3))),
    "pax path twice": lambda: packed(extended(record("path", "b") + record("path", "c")), file()),
    "pax path out": lambda: packed(called("../b", file())),
    "pax path from the root": lambda: packed(called("/b", file())),
    "pax path not composed": lambda: packed(called("a\u0308", file())),
    "pax path for all": lambda: packed(extended(record("path", "b"), b"g"), file()),
    "pax path, then a long name": lambda: packed(called("b", long_name(b"c\0", file()))),
    "long name, then a pax path": lambda: packed(long_name(b"b\0", called("c", file()))),
    "pax size below zero": lambda: packed(extended(record("size", "-512")), file()),
    "pax size, another": lambda: packed(extended(record("size", "1027")), file(), file("b")),
    "pax size before a header": lambda: packed(extended(record("size", str(8 << 30))), header("a"), HIDDEN),
    "pax sparse": lambda: packed(extended(record("GNU.sparse.realsize", "3") + record("GNU.sparse.name", "b")), file()),
    "pax real size": lambda: packed(extended(record("SCHILY.realsize", "1")), file()),
    "pax owner": lambda: packed(extended(record("uid", "1.5")), file()),
    "pax owner below zero": lambda: packed(extended(record("gid", "-1")), file()),
    "pax owner too large": lambda: packed(extended(record("uid", "4294967296")), file()),
    "pax time": lambda: packed(extended(record("mtime", "9" * 20)), file()),
    "pax owner's name": lambda: packed(extended(record("uname", b"\xff")), file()),
    "pax size beyond 64 bits": lambda: packed(extended(record("size", str(2**64 + 3))), file()),
    "pax charset in a comment": lambda: packed(extended(record("comment", b"9 hdrcharset=\xff\n")), file()),
    "pax charset in a keyword": lambda: packed(extended(record("SCHILY.xattr.9 hdrcharset", "x")), file()),
    "pax path of a folder": lambda: packed(called("b/", file())),
    "global at the end": lambda: packed(file(), extended(record("comment", "x"), b"g")),
    "global after global": lambda: packed(extended(record("comment", "x"), b"g") * 2, file()),
    "global after pax": lambda: packed(extended(record("path", "b")), extended(record("comment", "x"), b"g"), file()),
    "two long names": lambda: packed(long_name(b"b\0", long_name(b"c\0", file()))),
    "long link": lambda: packed(extended(b"b\0", b"K"), file()),
    "one zero block": lambda: packed(file(), end=bytes(512)),
    "member behind one zero block": lambda: packed(file(), bytes(512), file("b")),
    "no end": lambda: packed(file(), end=b""),
    "member behind the end": lambda: packed(file(), END, file("b")),
    "archive behind": lambda: packed(file()) + packed(file("b")),
    "half a block behind": lambda: packed(file(), END, bytes(100)),
    "text behind gzip": lambda: packed(file()) + b"text",
    "zeros behind gzip": lambda: packed(file()) + bytes(512),
    **{f"type {kind}": of_type(kind) for kind in "12346789ADKMNSVX"},
}
"""What somebody reads otherwise, or would if it were packaged."""
