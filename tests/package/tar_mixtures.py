"""Tar streams made at random, field by field: mostly right, so that they are read far enough to be seen differently."""

import gzip
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from package.odd_archives import GNU, HIDDEN, KIND, LINK, MAGIC, MODE, NAME, OLD, POSIX, PREFIX, SIZE, UID, base256
from package.tar_blocks import END, content, extended, header, patched, record

T = TypeVar("T")

PLAIN_NAMES = [
    *(b"a", b"b", b"c", b"e", b"f", b"g", b"./h", b"./i", b"d/a", b"d/b", b"d/c", b"j/k/l", b"m/n", b"o"),
    *("ä".encode(), "漢".encode(), b"n" * 100, b"sagemaker_edge", b"-x", b".a", b"p/" * 45 + b"q"),
]
ODD_NAMES = [
    *(b"", b"\0a", b"a\0b", b"a/", b"d/", b"/a", b"d//a", b"a/.", b".", b"..", b"../a", b"A", b"D/a", b"a.", b"a "),
    *("a\u0308".encode(), "Ä".encode(), b"\xff", b"a\\b", b"C:a", b"a:b", b"sagemaker_edge_manifest", b"e/" * 50),
    *(b"n" * 155, b"n" * 256, b"@PaxHeader", b"d/./b", b"././@LongLink", b"._a", b"d/._a"),
]
KINDS = [bytes((code,)) for code in b"0123456789ADKLMNSVXZgx\0"]
FIELD_BYTES = st.binary(min_size=1, max_size=12) | st.sampled_from(
    [
        b" " * 8,
        bytes(8),
        b"7" * 8,
        b"00000644",
        b"\x80" + b"\0" * 7,
        b"\xff" * 8,
        b"\x80\0\0\1\0\0\0\0",
        b"-1\0",
        b"0x1\0",
    ]
)


def mostly(usual: SearchStrategy[T], odd: SearchStrategy[T], times: int = 16) -> SearchStrategy[T]:
    """The usual, now and then something odd."""
    return st.integers(0, times).flatmap(lambda number: usual if number else odd)


names = mostly(st.sampled_from(PLAIN_NAMES), st.sampled_from(ODD_NAMES) | st.binary(max_size=8))
contents = st.sampled_from([b"", b"abc", HIDDEN, bytes(512), b"x" * 513])


@st.composite
def headers(draw: st.DrawFn, kind: bytes, size: int) -> bytes:
    """A header with a right checksum, and at times a wrong field or two."""
    name = draw(names)[:100]
    block = patched(header("", size, kind), NAME, name)
    block = patched(
        block, MAGIC, draw(mostly(st.sampled_from([POSIX, GNU]), st.just(OLD) | st.binary(min_size=8, max_size=8), 20))
    )
    if draw(mostly(st.just(value=False), st.just(value=True))):
        block = patched(block, PREFIX, draw(names)[:155])
    if draw(mostly(st.just(value=False), st.just(value=True), 12)):
        start = draw(st.sampled_from([MODE, UID, 116, SIZE, 136, KIND, LINK, MAGIC, 265, 329, 337, PREFIX, 500]))
        block = patched(block, start, draw(FIELD_BYTES)[: 512 - start])
    encode = draw(st.sampled_from([lambda number: b"%011o\0" % number, lambda number: b"%12o" % number, base256]))
    claimed = draw(mostly(st.just(size), st.sampled_from([0, 3, 512, 1024, 8 << 30, 1 << 65, -512]), 20))
    return patched(block, SIZE, base256(claimed) if claimed < 0 or claimed >= 8 << 30 else encode(claimed))


def pax_records() -> SearchStrategy[bytes]:
    """The content of a pax header."""
    numbers = st.sampled_from([b"0", b"3", b"1024", b"-1", b"1.5", b"9" * 20, b"x", b""])
    values = names | numbers | st.sampled_from([b"BINARY", b"1 hdrcharset=x\n", b"\xff", b"a\nb", b"9 path=x\n"])
    odd = st.sampled_from(
        ["size", "linkpath", "hdrcharset", "GNU.sparse.name", "GNU.sparse.map", "pa\0th", "comment", "x"]
    )
    usual = st.one_of(
        st.builds(record, st.just("path"), names),
        st.builds(record, st.sampled_from(["comment", "uname", "SCHILY.xattr.x"]), values),
        st.builds(record, st.sampled_from(["mtime", "uid"]), mostly(st.sampled_from([b"0", b"3"]), numbers)),
    )
    records = st.lists(mostly(usual, st.builds(record, odd, values)), min_size=1, max_size=3).map(b"".join)
    return mostly(records, st.binary(min_size=1, max_size=40), 20)


@st.composite
def extensions(draw: st.DrawFn) -> bytes:
    """An extended header in front of a member, right or not."""
    kind = draw(mostly(st.sampled_from([b"x", b"L"]), st.sampled_from([b"g", b"K", b"N", b"X"])))
    data = draw(names.map(lambda name: name + b"\0") if kind in {b"L", b"K"} else pax_records())
    if draw(mostly(st.just(value=False), st.just(value=True), 12)):
        return draw(headers(kind, len(data))) + content(data)
    return extended(data, kind)


@st.composite
def members(draw: st.DrawFn) -> bytes:
    """One member, with what stands in front of it."""
    kind = draw(mostly(st.sampled_from([b"0", b"0", b"\0", b"5"]), st.sampled_from(KINDS), 12))
    data = b"" if kind == b"5" else draw(contents)
    before = draw(mostly(st.lists(extensions(), max_size=1), st.lists(extensions(), max_size=3)))
    return b"".join(before) + draw(headers(kind, len(data))) + content(data)


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """A tar stream."""
    stream = b"".join(draw(st.lists(members(), min_size=1, max_size=4)))
    odd_ends = st.sampled_from([b"", bytes(512), END + bytes(512), END + HIDDEN, bytes(512) + HIDDEN + END, END + b"x"])
    return stream + draw(mostly(st.just(END), odd_ends, 4))


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """A gzip file of such a stream, mostly of one member."""
    stream = draw(tars())
    cut = draw(mostly(st.just(0), st.integers(0, len(stream)), 10))
    parts = [stream[:cut], stream[cut:]] if cut else [stream]
    tail = draw(mostly(st.just(b""), st.sampled_from([b"\0", b"\x1f\x8b", bytes(512), b"text"]), 20))
    return b"".join(gzip.compress(part, 1, mtime=0) for part in parts) + tail
