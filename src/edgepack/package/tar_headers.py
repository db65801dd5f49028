"""One 512-byte tar header block, read strictly.

Sources: POSIX.1-2017 pax, "ustar Interchange Format"; the GNU tar manual, "Basic Tar Format".
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

OWNER_MAX = 2**32 - 1
"""Largest user or group id that Linux has; GNU tar fails on larger ones."""

TIME_MAX = 253_402_300_799
"""Seconds from 1970 to the end of the year 9999; readers fail on times that their clock does not have."""

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

_NO_LINK = bytes(100)
"""The link's target in the header of what is no link."""

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
        _check_type_is_clear(block, name)
        if block[100:124] not in self._owners:
            self._check_owner(block[100:124], name)
        if abs(_number(block[136:148], name, "modification time")) > TIME_MAX:
            raise UnsupportedMemberError(f"The modification time of {shown(name)} is out of range.")
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
        _number(fields[:8], name, "mode")
        for start, field in ((8, "user id"), (16, "group id")):
            if not 0 <= _number(fields[start : start + 8], name, field) <= OWNER_MAX:
                raise UnsupportedMemberError(f"The {field} of {shown(name)} is out of range.")
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


def _check_type_is_clear(block: bytes, name: bytes) -> None:
    """No reader takes the member for something else than its type says."""
    if block[157:257] != _NO_LINK:
        raise UnsupportedMemberError(f"The member {shown(name)} has a link's target but is no link.")
    if block[156:157] == b"\0" and name.endswith(b"/"):
        raise UnsupportedMemberError(f"The file {shown(name)} is named as folders are, and is one to some readers.")


def _octal(field: bytes) -> int:
    match = _OCTAL.fullmatch(field)
    return int(match[1], 8) if match else -1


def _number(field: bytes, name: bytes, what: str) -> int:
    """A numeric field: octal text, or GNU's base-256 with the top bit set. NULs are zero, negative is allowed."""
    match = _OCTAL.fullmatch(field)
    if match:
        return int(match[1], 8)
    if field[0] == 0x80:  # noqa: PLR2004 - GNU: base-256, positive
        return int.from_bytes(field[1:], "big")
    if field[0] == 0xFF:  # noqa: PLR2004 - GNU: base-256, negative
        return int.from_bytes(field, "big", signed=True)
    if b"\0" in field and _BLANK.fullmatch(field):
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
