"""What an extended header, pax or GNU long name, says about the member behind it, read strictly.

Sources: POSIX.1-2017 pax, "pax Header Block"; the GNU tar manual, "Basic Tar Format".
"""

import re
import unicodedata
from typing import NamedTuple

from edgepack.package.errors import TarError, UnsafeMemberError, UnsupportedMemberError, shown
from edgepack.package.limits import NAME_SIZE_MAX
from edgepack.package.tar_headers import OWNER_MAX, TIME_MAX

_PAX_IGNORED = frozenset(
    {
        *("atime", "ctime", "mtime", "uid", "gid", "uname", "gname", "comment"),
        *("SCHILY.dev", "SCHILY.ino", "SCHILY.nlink", "SCHILY.fflags", "LIBARCHIVE.creationtime"),
    }
)
"""Keywords that do not change which bytes are unpacked under which name."""

_PAX_IGNORED_PREFIXES = ("SCHILY.xattr.", "LIBARCHIVE.xattr.", "SCHILY.acl.", "RHT.security.")
_PAX_TIMES = frozenset(("atime", "ctime", "mtime"))
_PAX_TIME = re.compile(rb"-?([0-9]{1,20})(?:\.[0-9]{1,20})?")
_PAX_OWNERS = frozenset(("uid", "gid"))
_PAX_OWNER = re.compile(rb"([0-9]{1,20})")
_PAX_NAMES = frozenset(("uname", "gname"))
_PAX_LENGTH = re.compile(rb"[1-9][0-9]{0,5}")
"""Bytes of one record; bsdtar reads no longer ones than these."""

_INNER_CHARSET = b" hdrcharset="
"""What Python's reader takes for a record wherever it stands, inside of other records too."""

_LENIENT_OCTAL = re.compile(rb"[\s\0]*\+?([0-7]+)")
"""A number in a header, as the most lenient reader takes it."""

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
        UnsafeMemberError: The path is one that some reader writes otherwise.
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
    if path is not None:
        _check_pax_path(path, name)
    return Overrides(path, size)


def _check_pax_path(path: bytes, name: bytes) -> None:
    if not path or b"\0" in path:
        raise TarError(f"The extended header {shown(name)} gives an empty path or one with a NUL in it.")
    # Longer ones, on which this would take long, are refused as names.
    if len(path) <= NAME_SIZE_MAX and not unicodedata.is_normalized("NFC", path.decode("utf-8", "replace")):
        raise UnsafeMemberError(
            f"The extended header {shown(name)} gives the path {shown(path)} not in Unicode's composed form (NFC), in "
            "which bsdtar writes it.",
            advice="Rename the file, or pack it with `tar --format=gnu`.",
        )


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
        if end > len(data) or not record.endswith(b"\n") or not equals or not keyword or b"\0" in keyword:
            raise TarError(f"The extended header {shown(name)} has a malformed record.")
        decoded = _pax_text(keyword, name)
        if _INNER_CHARSET in record:
            raise UnsupportedMemberError(f"The extended header {shown(name)} has a character set in {shown(decoded)}.")
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
    if keyword in _PAX_TIMES:
        _check_pax_number(keyword, _PAX_TIME.fullmatch(value), TIME_MAX, name)
    elif keyword in _PAX_OWNERS:
        _check_pax_number(keyword, _PAX_OWNER.fullmatch(value), OWNER_MAX, name)
    elif keyword in _PAX_NAMES:
        _pax_text(value, name)
    elif keyword == "hdrcharset":
        if value != _UTF8_CHARSET.encode():
            raise UnsupportedMemberError(f"The extended header {shown(name)} declares names that are not UTF-8.")
    elif keyword not in _PAX_IGNORED and not keyword.startswith(_PAX_IGNORED_PREFIXES):
        raise UnsupportedMemberError(f"The extended header {shown(name)} uses the keyword {shown(keyword)}.")


def _check_pax_number(keyword: str, match: re.Match[bytes] | None, at_most: int, name: bytes) -> None:
    if match is None:
        raise TarError(f"The extended header {shown(name)} gives a {keyword} that is not a number.")
    if int(match[1]) > at_most:
        raise UnsupportedMemberError(f"The extended header {shown(name)} gives a {keyword} that is out of range.")


def read_long_name(data: bytes, name: bytes) -> Overrides:
    """Parse the content of a GNU long-name member: the next member's name, ended by one NUL.

    Raises:
        TarError: It is not such a text.
    """
    text = data.removesuffix(b"\0")
    if not text or b"\0" in text:
        raise TarError(f"The GNU long name {shown(name)} is empty or has a NUL in it.")
    return Overrides(text, None)


def check_opening(block: bytes, name: bytes) -> None:
    """Check a content that readers without pax take for further members, for its size is in a pax header only.

    They must fail on it: neither find a header there, nor the end, which busybox sees in empty names.

    Args:
        block: The content's first 512 bytes.
        name: The file's, for messages.

    Raises:
        UnsupportedMemberError: Some reader may go on there, or stop without a word.
    """
    stored = _LENIENT_OCTAL.match(block[148:156])
    rest = block[:148] + b" " * 8 + block[156:]
    sums = {sum(rest), sum(byte - (byte & 0x80) * 2 for byte in rest)}
    if not block[0] or (stored is not None and int(stored[1], 8) in sums):
        raise UnsupportedMemberError(
            f"The file {shown(name)}, whose size only an extended header has, begins with a zero byte or as a header "
            "does, and is something else to readers without such headers.",
            advice="Pack it with `tar --format=gnu`.",
        )
