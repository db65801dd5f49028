"""Which names a member may have, and which names cannot live side by side.

Two members must never be one file on any system the package may be unpacked on, and no name may lead out of the folder.
So names are compared as a case-insensitive, Unicode-normalising file system would compare them.
"""

import posixpath
import re
import unicodedata

from edgepack.package.errors import (
    ArchiveTooLargeError,
    DuplicateMemberError,
    ForeignManifestError,
    TarError,
    UnsafeMemberError,
    shown,
)
from edgepack.package.limits import COMPONENT_SIZE_MAX, NAME_SIZE_MAX

MANIFEST_NAME = "sagemaker_edge_manifest"
"""The manifest's member name, as the devices' software expects it (no extension)."""

_MANIFEST_KEYS = re.compile(MANIFEST_NAME + r"(?:/|\Z)|sagema~[0-9](?:/|\Z)")
"""The manifest as a collision key; on Windows it has a second, short name, under which it could be overwritten."""

_PLAIN = re.compile(rb"(?:\./)?([A-Za-z0-9_+-]+(?:[./][A-Za-z0-9_+-]+)*)")
"""Names that need no further look: relative, ASCII, no component that begins or ends with a dot, or is empty."""

_PLAIN_SIZE_MAX = 100
"""Bytes of names that are looked at so: what a header holds, and less than any bound."""

_STRIPPED = re.compile(r"[:<>\"|?*]|[. ](?:/|\Z)")
"""What some system does not keep of a name."""

_UNDERSCORED = str.maketrans(dict.fromkeys('<>"|?*', "_"))

_RENAME = (
    "Rename it: names are UTF-8 without control characters, backslashes and drive letters, "
    f"at most {COMPONENT_SIZE_MAX} bytes between two slashes and {NAME_SIZE_MAX} in all."
)

_DRIVE = re.compile(r"(?:\./)*[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line separators and direction marks: they make a listing show what is not there."""

_APPLE_DOUBLE = "._"
"""What the names of AppleDouble files begin with: macOS' tar takes them for attributes and unpacks no file."""

_DEFAULT_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point of DerivedCoreProperties.txt, Unicode 14.0: Linux' `casefold` does not look at them."""


def normalised(raw: bytes) -> str:
    """The path a member's name stands for, below the folder it is unpacked in.

    Args:
        raw: The name as the archive has it, without a directory's trailing slash.

    Returns:
        The path with `/` between components and no `.` component; empty for the folder itself.

    Raises:
        UnsafeMemberError: The name is absolute, leads upwards, or is not portable text.
    """
    text = _decoded(raw)
    if text.startswith("/"):
        raise UnsafeMemberError(f"The member {shown(text)} has an absolute path.")
    parts = text.split("/")
    if ".." in parts:
        raise UnsafeMemberError(f"The member {shown(text)} leads out of the folder it is unpacked in.")
    kept = [part for part in parts if part != "."]
    if "" in kept:
        raise UnsafeMemberError(f"The member {shown(text)} has an empty component in its path.")
    if any(len(part.encode()) > COMPONENT_SIZE_MAX for part in kept):
        raise _to_rename(f"The member {shown(text)} has a component of more than {COMPONENT_SIZE_MAX} bytes.")
    if kept and kept[-1].startswith(_APPLE_DOUBLE):
        raise UnsafeMemberError(
            f"The member {shown(text)} is named as macOS names a file's attributes, and is no file to its tar.",
            advice="Pack without them (on macOS: `COPYFILE_DISABLE=1 tar czf model.tar.gz -C folder .`).",
        )
    return "/".join(kept)


def _decoded(raw: bytes) -> str:
    if not raw:
        raise UnsafeMemberError("A member has an empty name.", advice=TarError.advice)
    if len(raw) > NAME_SIZE_MAX:
        raise _to_rename(f"The member {shown(raw)} has a name of more than {NAME_SIZE_MAX} bytes.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _to_rename(f"The member {shown(raw)} has a name that is not UTF-8.") from None
    if _CONTROL.search(text):
        raise _to_rename(f"The member {shown(text)} has a control character in its name.")
    if "\\" in text or _DRIVE.match(text):
        raise _to_rename(f"The member {shown(text)} has a backslash or a drive letter in its name.")
    return text


def _to_rename(message: str) -> UnsafeMemberError:
    return UnsafeMemberError(message, advice=_RENAME)


def collision_key(path: str) -> str:
    """What a case-insensitive, Unicode-normalising file system takes the path for.

    Two paths with the same key may be one file. As on Windows, trailing dots and spaces of components go, what follows
    a colon names a stream of the file before it, and readers write an underscore for what no name there can hold. As on
    HFS+ and Linux' file systems that ignore case, characters that show nothing are not looked at.
    """
    if path.isascii():
        folded = _lower(path)
    else:
        folded = _visible(unicodedata.normalize("NFD", path).casefold())
        folded = unicodedata.normalize("NFC", folded)
    if not _STRIPPED.search(folded):
        return folded
    return "/".join(part.partition(":")[0].rstrip(". ").translate(_UNDERSCORED) for part in folded.split("/"))


def _visible(text: str) -> str:
    """The text without characters that show nothing: some file system takes names for the same that differ in them."""
    return "".join(c for c in _DEFAULT_IGNORABLE.sub("", text) if unicodedata.category(c) != "Cf")


def _placed(raw: bytes) -> tuple[str, str]:
    """The normalised path of a name, and its collision key."""
    if len(raw) <= _PLAIN_SIZE_MAX and (plain := _PLAIN.fullmatch(raw)):
        path = plain[1].decode("ascii")
        return path, _lower(path)
    path = normalised(raw)
    return path, collision_key(path)


def _lower(path: str) -> str:
    """The path in small letters: itself, if it is so already, which saves memory for 100,000 of them."""
    return path if path.islower() else path.lower()


def _is_manifest(key: str) -> bool:
    return key.startswith("sagema") and _MANIFEST_KEYS.match(key) is not None


def check_replaced(raw: bytes) -> None:
    """Check a header's own name where only readers that pass over extended headers go by it.

    Tars write there what fits: it may be cut anywhere, be there twice, or not be text.

    Args:
        raw: The name as the header has it.

    Raises:
        UnsafeMemberError: It is empty: some readers take such a header for an empty one, and what follows for headers.
        ForeignManifestError: It is the manifest's.
    """
    if not raw or b"\0" in raw:
        raise UnsafeMemberError(
            f"A header has an empty name, or one with a NUL in it: {shown(raw)}.", advice=TarError.advice
        )
    parts = posixpath.normpath(raw.decode("utf-8", "replace").replace("\\", "/")).split("/")
    if _is_manifest(collision_key("/".join(part for part in parts if part not in {"", ".."}))):
        raise ForeignManifestError(f"The name {shown(raw)} is the manifest's, to readers without extended headers.")


class Namespace:
    """The names an archive has used so far.

    Args:
        size_max: Sum of the names' UTF-8 bytes at most.
    """

    def __init__(self, size_max: int) -> None:
        self._files: dict[str, str] = {}
        self._directories: dict[str, str] = {}
        self._listed: set[str] = set()
        self._size_left = size_max

    def add_file(self, raw: bytes) -> str:
        """Take a regular file's name.

        Returns:
            The file's normalised path.

        Raises:
            UnsafeMemberError: The name is not acceptable by itself.
            DuplicateMemberError: It collides with an earlier one.
            ForeignManifestError: It is the manifest's.
            ArchiveTooLargeError: The names together exceed their bound.
        """
        path, key = _placed(raw)
        if not path or raw.endswith(b"/."):
            raise UnsafeMemberError(f"The member {shown(raw)} names the folder itself, but is a file.")
        self._admit(path, key)
        if key in self._files or key in self._directories:
            self._collision(path, key)
        self._add_parents(path, key)
        self._files[key] = path
        return path

    def add_directory(self, raw: bytes) -> str:
        """Take a directory's name (without the trailing slash); its normalised path. Raises as `add_file`."""
        path, key = _placed(raw)
        self._admit(path, key)
        if key in self._listed or key in self._files or self._directories.get(key, path) != path:
            self._collision(path, key)
        self._add_parents(path, key)
        self._listed.add(key)
        self._directories[key] = path
        return path

    def _admit(self, path: str, key: str) -> None:
        self._size_left -= len(path) if path.isascii() else len(path.encode())
        if self._size_left < 0:
            raise ArchiveTooLargeError(f"The members' names exceed their bound at {shown(path)}.")
        if _is_manifest(key):
            raise ForeignManifestError(f"The archive already has a member {shown(path)}.")

    def _add_parents(self, path: str, key: str) -> None:
        while (cut := path.rfind("/")) >= 0:
            path, key = path[:cut], key[: key.rfind("/")]
            known = self._directories.get(key)
            if known == path:
                return
            if known is not None or key in self._files:
                self._collision(path, key)
            self._directories[key] = path

    def _collision(self, path: str, key: str) -> None:
        other = self._files.get(key) or self._directories.get(key, path)
        if other == path:
            raise DuplicateMemberError(f"The member {shown(path)} is there twice, or is a file and a folder at once.")
        raise DuplicateMemberError(
            f"The members {shown(other)} and {shown(path)} are one file on systems that ignore case or Unicode form."
        )
