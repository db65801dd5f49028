"""Blocks of a tar stream, right ones and wrong ones, put together by hand."""

import tarfile

END = bytes(1024)
"""An archive's end marker."""


def header(name: str = "a", size: int = 0, kind: bytes = b"0", **more: object) -> bytes:
    """A header block as Python writes it."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    for field, value in more.items():
        setattr(member, field, value)
    return member.tobuf(tarfile.GNU_FORMAT)


def patched(block: bytes, start: int, data: bytes) -> bytes:
    """A header with other bytes at one place, and the checksum that belongs to them."""
    changed = bytearray(block)
    changed[start : start + len(data)] = data
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


def content(data: bytes) -> bytes:
    """A member's content with its padding."""
    return data + bytes(-len(data) % 512)


def extended(data: bytes, kind: bytes = b"x") -> bytes:
    """An extended header and its content."""
    return header("ext", len(data), kind) + content(data)


def record(keyword: str, value: str | bytes) -> bytes:
    """One pax record, with its length in front."""
    body = f" {keyword}=".encode() + (value.encode() if isinstance(value, str) else value) + b"\n"
    length = len(body) + 1
    while length != len(str(length)) + len(body):
        length = len(str(length)) + len(body)
    return b"%d%s" % (length, body)
