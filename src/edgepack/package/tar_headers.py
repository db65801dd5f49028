"""One 512-byte tar header block and the extended headers, read strictly.

Sources: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Header Block"; the GNU tar manual, "Basic Tar Format".
Whatever readers are known to see differently is refused, so that what is hashed is what every reader unpacks.
"""

import re
from typing import NamedTuple
from zlib import adler32

from edgepack.package.errors import TarError, UnsupportedMemberError, shown

BLOCK_SIZE = 512
"""Bytes of a header, and the unit contents are padded to."""

ZERO_BLOCK = bytes(BLOCK_SIZE)

HEADER_SIZE_FIELD_MAX = 0o77777777777
"""Largest size that a header's octal field holds, 8 GiB less one byte; beyond it an extended header is needed."""

FILE, DIRECTORY, PAX, PAX_GLOBAL, GNU_LONG_NAME = b"0", b"5", b"x", b"g", b"L"

_UNSUPPORTED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"D": "a GNU directory dump",
    b"K": "a GNU long link name",
    b"M": "a continued file of a multi-volume archive",
    b"N": "an old GNU long name",
    b"S": "a GNU sparse file",
    b"V": "a GNU volume label",
    b"X": "a Solaris extended header",
}

_MAGICS = frozenset((b"ustar\x0000", b"ustar  \x00", bytes(8)))
"""POSIX, GNU and the old form without either."""

_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
_BLANK = re.compile(rb"[ \0]*")


class Header(NamedTuple):
    """One header block.

    Attributes:
        kind: `FILE`, `DIRECTORY`, `PAX`, `PAX_GLOBAL` or `GNU_LONG_NAME`.
        name: The name as stored, prefix included.
        size: Bytes of content that follow, by this header.
    """

    kind: bytes
    name: bytes
    size: int


class HeaderReader:
    """Reads header blocks. It remembers fields that repeat from member to member, which is most of the work saved."""

    def __init__(self) -> None:
        self._owners: set[bytes] = set()
        self._tails: dict[bytes, bytes] = {}

    def read(self, block: bytes) -> Header:
        """Parse one header block that is not all zeros.

        Raises:
            TarError: Wrong checksum or malformed field.
            UnsupportedMemberError: A kind of member that is refused.
        """
        checksum = block[148:156]
        if _sum(block) - sum(checksum) + 256 != _octal(checksum):
            raise TarError("A tar header's checksum is wrong.")
        name = block[:100].rstrip(b"\0")
        kind = _kind(block[156:157], name)
        tail = block[257:]
        prefix = self._tails.get(tail)
        if prefix is None:
            prefix = self._read_tail(tail, name)
        if prefix:
            name = prefix + b"/" + name
        if block[100:124] not in self._owners:
            self._check_owner(block[100:124], name)
        _number(block[136:148], name, "modification time")
        return Header(kind, name, _size(block[124:136], name))

    def _read_tail(self, tail: bytes, name: bytes) -> bytes:
        magic, devices, prefix, rest = tail[:8], tail[72:88], tail[88:243], tail[243:]
        if magic not in _MAGICS:
            raise TarError(f"The tar header of {shown(name)} is of an unknown format {magic!r}.")
        if rest.strip(b"\0") or (magic != b"ustar\x0000" and prefix.strip(b"\0")):
            raise UnsupportedMemberError(f"The tar header of {shown(name)} has fields that only some readers know.")
        for device in (devices[:8], devices[8:]):
            if not _BLANK.fullmatch(device):
                _number(device, name, "device number")
        prefix = prefix.rstrip(b"\0")
        if len(self._tails) < _REMEMBERED_MAX:
            self._tails[tail] = prefix
        return prefix

    def _check_owner(self, fields: bytes, name: bytes) -> None:
        for start, field in ((0, "mode"), (8, "user id"), (16, "group id")):
            _number(fields[start : start + 8], name, field)
        if len(self._owners) < _REMEMBERED_MAX:
            self._owners.add(fields)


_REMEMBERED_MAX = 1024
"""Distinct field values kept: a hostile archive that varies them only loses the shortcut."""


def _kind(flag: bytes, name: bytes) -> bytes:
    if flag == b"\0":
        flag = FILE
    if flag in (FILE, DIRECTORY, PAX, PAX_GLOBAL, GNU_LONG_NAME):
        return flag
    kind = _UNSUPPORTED.get(flag, f"of the unknown type {flag!r}")
    raise UnsupportedMemberError(
        f"The member {shown(name)} is {kind}; only regular files and directories are packaged."
    )


def _sum(block: bytes) -> int:
    """The sum of a block's bytes: of ASCII ones it stays below Adler-32's modulus, and that is ten times as fast."""
    return (adler32(block) & 0xFFFF) - 1 if block.isascii() else sum(block)


def _octal(field: bytes) -> int:
    match = _OCTAL.fullmatch(field)
    return int(match[1], 8) if match else -1


def _number(field: bytes, name: bytes, what: str) -> int:
    """A numeric field: octal text, or GNU's base-256 with the top bit set. Blank is zero, negative is allowed."""
    match = _OCTAL.fullmatch(field)
    if match:
        return int(match[1], 8)
    if field[0] == 0x80:  # noqa: PLR2004 - GNU: base-256, positive
        return int.from_bytes(field[1:], "big")
    if field[0] == 0xFF:  # noqa: PLR2004 - GNU: base-256, negative
        return int.from_bytes(field, "big", signed=True)
    if _BLANK.fullmatch(field):
        return 0
    raise TarError(f"The {what} of {shown(name)} is not a number.")


def _size(field: bytes, name: bytes) -> int:
    match = _OCTAL.fullmatch(field)
    if match:
        return int(match[1], 8)
    size = _number(field, name, "size")
    if size < 0 or not field.strip(b" \0"):
        raise TarError(f"The member {shown(name)} has a negative or missing size.")
    return size


# ---------------------------------------------------------------------------------------------------- extended headers

_PAX_IGNORED = frozenset(
    {
        *("atime", "ctime", "mtime", "uid", "gid", "uname", "gname", "comment"),
        *("SCHILY.dev", "SCHILY.ino", "SCHILY.nlink", "SCHILY.fflags", "LIBARCHIVE.creationtime"),
    }
)
"""Keywords that do not change which bytes are unpacked under which name."""

_PAX_IGNORED_PREFIXES = ("SCHILY.xattr.", "LIBARCHIVE.xattr.", "SCHILY.acl.", "RHT.security.")
_PAX_NUMERIC = frozenset(("atime", "ctime", "mtime", "uid", "gid"))
_PAX_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_PAX_LENGTH = re.compile(rb"[1-9][0-9]{0,7}")
_UTF8_CHARSET = "ISO-IR 10646 2000 UTF-8"


class Overrides(NamedTuple):
    """What an extended header says about the next member; None where it says nothing."""

    name: bytes | None
    size: int | None


def read_pax(data: bytes, name: bytes) -> Overrides:
    """Parse the records of a pax extended header.

    Args:
        data: The header's content.
        name: The header member's own name, for messages.

    Raises:
        TarError: A record is malformed, repeated or contradicts itself.
        UnsupportedMemberError: A keyword that changes the member in ways that are refused, or is unknown.
    """
    path: bytes | None = None
    size: int | None = None
    for keyword, value in _pax_records(data, name).items():
        if keyword == "path":
            path = value
        elif keyword == "size":
            size = _pax_size(value, name)
        else:
            _check_pax_keyword(keyword, value, name)
    if path is not None and (not path or b"\0" in path):
        raise TarError(f"The extended header {shown(name)} gives an empty path or one with a NUL in it.")
    return Overrides(path, size)


def check_global_pax(data: bytes, name: bytes) -> None:
    """Parse a global extended header, which may hold comments only (`git archive` writes one).

    Raises:
        TarError: A record is malformed.
        UnsupportedMemberError: It changes anything about the members.
    """
    others = set(_pax_records(data, name)) - {"comment"}
    if others:
        raise UnsupportedMemberError(
            f"The global extended header {shown(name)} sets {shown(min(others))} for all members."
        )


def _pax_records(data: bytes, name: bytes) -> dict[str, bytes]:
    records: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        length, space, _ = data[position : position + 9].partition(b" ")
        end = position + int(length) if space and _PAX_LENGTH.fullmatch(length) else 0
        record = data[position + len(length) + 1 : end]
        keyword, equals, value = record[:-1].partition(b"=")
        if end > len(data) or not record.endswith(b"\n") or not equals or not keyword:
            raise TarError(f"The extended header {shown(name)} has a malformed record.")
        decoded = _pax_text(keyword, name)
        if decoded in records:
            raise TarError(f"The extended header {shown(name)} sets {shown(decoded)} twice.")
        records[decoded] = value
        position = end
    return records


def _pax_text(value: bytes, name: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise TarError(f"The extended header {shown(name)} is not UTF-8.") from None


def _pax_size(value: bytes, name: bytes) -> int:
    if not value.isdigit() or len(value) > 20:  # noqa: PLR2004 - digits of 2**64
        raise TarError(f"The extended header {shown(name)} gives a size that is not a number.")
    return int(value)


def _check_pax_keyword(keyword: str, value: bytes, name: bytes) -> None:
    if keyword in _PAX_NUMERIC:
        if not _PAX_NUMBER.fullmatch(_pax_text(value, name)):
            raise TarError(f"The extended header {shown(name)} gives a {keyword} that is not a number.")
    elif keyword == "hdrcharset":
        if value != _UTF8_CHARSET.encode():
            raise UnsupportedMemberError(f"The extended header {shown(name)} declares names that are not UTF-8.")
    elif keyword not in _PAX_IGNORED and not keyword.startswith(_PAX_IGNORED_PREFIXES):
        raise UnsupportedMemberError(f"The extended header {shown(name)} uses the keyword {shown(keyword)}.")


def read_long_name(data: bytes, name: bytes) -> Overrides:
    """Parse the content of a GNU long-name member: the next member's name, ended by one NUL.

    Raises:
        TarError: It is not such a text.
    """
    text = data.removesuffix(b"\0")
    if not text or b"\0" in text:
        raise TarError(f"The GNU long name {shown(name)} is empty or has a NUL in it.")
    return Overrides(text, None)
