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

_POSIX_MAGIC, _GNU_MAGIC, _NO_MAGIC = b"ustar\x0000", b"ustar  \x00", bytes(8)
"""The two forms that are read, and the one before them (v7), which busybox is often built without."""

_MODE_MAX = 0o77777777
"""Largest mode that a header's octal field holds; Python fails on larger ones, which only GNU's base-256 can say."""

_NO_LINK = bytes(100)
"""The link's target in the header of what is no link."""

_PLAIN_NUMBERS = re.compile(rb"([0-7]{11})[ \0][0-7]{11}[ \0]")
"""Size and modification time as every tar writes them: within their bounds."""

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


class _Surroundings(NamedTuple):
    """What is the same in the headers of most members of an archive, looked at once.

    Attributes:
        kind: As in `Header`.
        prefix: What goes in front of the name, its slash included.
        untyped: Whether the type is the old format's NUL, and folders are told by their names.
    """

    kind: bytes
    prefix: bytes
    untyped: bool


class HeaderReader:
    """Reads header blocks. It remembers what repeats from member to member, which is most of the work saved."""

    def __init__(self) -> None:
        self._surroundings: dict[bytes, _Surroundings] = {}
        self._sums: dict[bytes, int] = {}

    def read(self, block: bytes) -> Header:
        """Parse one header block that is not all zeros.

        Raises:
            TarError: Wrong checksum or malformed field.
            UnsupportedMemberError: A kind of member that is refused.
        """
        checksum = block[148:156]
        expected = self._sums.get(checksum)
        if _sum(block) != (self._expected_sum(checksum) if expected is None else expected):
            raise TarError("A tar header's checksum is wrong.")
        name = block[:100].rstrip(b"\0")
        fields = block[100:124] + block[156:]
        kind, prefix, untyped = self._surroundings.get(fields) or self._read_surroundings(fields, name)
        name = prefix + name
        if untyped and name.endswith(b"/"):
            raise UnsupportedMemberError(f"The file {shown(name)} is named as folders are, and is one to some readers.")
        numbers = _PLAIN_NUMBERS.match(block, 124)
        if numbers is not None:
            return Header(kind, name, int(numbers[1], 8))
        if abs(_number(block[136:148], name, "modification time")) > TIME_MAX:
            raise UnsupportedMemberError(f"The modification time of {shown(name)} is out of range.")
        return Header(kind, name, _size(block[124:136], name))

    def _expected_sum(self, checksum: bytes) -> int:
        """What the bytes of a block with this checksum add up to; the checksum itself counts as spaces in its own."""
        value = _octal(checksum)
        expected = value - len(checksum) * ord(" ") + sum(checksum) if value >= 0 else -1
        if len(self._sums) < _REMEMBERED_MAX:
            self._sums[checksum] = expected
        return expected

    def _read_surroundings(self, fields: bytes, name: bytes) -> _Surroundings:
        owner, tail = fields[:24], fields[24:]
        kind = _kind(tail[:1], name)
        prefix = _read_tail(tail[101:], name)
        name = prefix + name
        if tail[1:101] != _NO_LINK:
            raise UnsupportedMemberError(f"The member {shown(name)} has a link's target but is no link.")
        _check_owner(owner, name)
        surroundings = _Surroundings(kind, prefix, tail[:1] == b"\0")
        if len(self._surroundings) < _REMEMBERED_MAX:
            self._surroundings[fields] = surroundings
        return surroundings


def _read_tail(tail: bytes, name: bytes) -> bytes:
    """Check what a header has from its magic on; the name's prefix."""
    magic, devices, prefix, rest = tail[:8], tail[72:88], tail[88:243], tail[243:]
    _check_magic(magic, name)
    if rest.strip(b"\0") or (magic != _POSIX_MAGIC and prefix.strip(b"\0")):
        raise UnsupportedMemberError(f"The tar header of {shown(name)} has fields that only some readers know.")
    for device in (devices[:8], devices[8:]):
        if not _BLANK.fullmatch(device):
            _number(device, name, "device number")
    prefix = prefix.rstrip(b"\0")
    return prefix + b"/" if prefix else b""


def _check_magic(magic: bytes, name: bytes) -> None:
    if magic == _NO_MAGIC:
        raise UnsupportedMemberError(
            f"The tar header of {shown(name)} is of the form before ustar (v7), which not every reader reads.",
            advice="Make the archive again in another form (`tar --format=gnu` or `tar --format=pax`).",
        )
    if magic not in {_POSIX_MAGIC, _GNU_MAGIC}:
        raise TarError(f"The tar header of {shown(name)} is of an unknown format {magic!r}.")


def _check_owner(fields: bytes, name: bytes) -> None:
    for start, field, at_most in ((0, "mode", _MODE_MAX), (8, "user id", OWNER_MAX), (16, "group id", OWNER_MAX)):
        if not 0 <= _number(fields[start : start + 8], name, field) <= at_most:
            raise UnsupportedMemberError(f"The {field} of {shown(name)} is out of range.")


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
