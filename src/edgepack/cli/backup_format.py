"""The form of a backup: a plain tar of files named as in the data folder, then an inventory with their digests.

The inventory, `backup.json`, stands at the end, so that a backup is written in one pass, to a pipe if need be, and one
that was cut short has none; `backup.sha256` behind it has the inventory's own digest. A backup is not signed: whoever
can alter it can alter its digests. They find damage; who may write to the place where backups lie is the operator's.
"""

import hashlib
from typing import Final, Literal

import msgspec

from edgepack.errors import StateError
from edgepack.keys.folder import KEYS_FOLDER

FORMAT: Final = 1
"""Raised when an older edgepack could not restore what is written here."""

INVENTORY, INVENTORY_DIGEST = "backup.json", "backup.sha256"
SQLITE_FILE: Final = "edgepack.db"
POSTGRES_DUMP: Final = "postgres.dump"
DATABASES: Final = {"sqlite": SQLITE_FILE, "postgresql": POSTGRES_DUMP}
"""The file of each kind of database: the first one of its backup."""
STORE_FOLDER: Final = "store/data"
"""The embedded store's objects. The rest of its folder is made anew: certificates by the folder's path, ports, logs."""

FOLDERS = (f"{KEYS_FOLDER}/", f"{STORE_FOLDER}/")

NAME_LENGTH_MAX = 1024
"""Characters of a name; those of keys and of the store's files have less than 100."""

INVENTORY_SIZE_MAX = 256 * 1024 * 1024
"""Bytes of an inventory that are read: about 150 for each file, of which a store has some hundreds."""


class BackupError(StateError):
    """A backup cannot be made, or is damaged, foreign or too new. Nothing was put in place."""

    code = "BackupUnusable"
    advice = "Use another backup, or fetch this one again."


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a backup.

    Attributes:
        size: Bytes.
        sha256: Hexadecimal digest of its content.
    """

    size: int
    sha256: str


class Inventory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `backup.json` says.

    Attributes:
        format: `FORMAT`.
        edgepack: Version of the edgepack that made it.
        made_at: When: RFC 3339, UTC.
        database: What kind of database is in it.
        schema: Its Alembic revision; None without one.
        objects: Whether the embedded store's objects are in it, are on somebody else's S3, or were left out.
        objects_at: URL of that S3.
        region: The server's region when it last started; None if it never did.
        account_id: Account of the first access key, likewise.
        files: Every other file, by name.
    """

    format: int
    edgepack: str
    made_at: str
    database: Literal["sqlite", "postgresql", "left out"]
    schema: str | None = None
    objects: Literal["embedded", "external", "left out", "none"]
    objects_at: str | None = None
    region: str | None = None
    account_id: str | None = None
    files: dict[str, FileEntry]


class _Format(msgspec.Struct):
    format: int


def decode_inventory(data: bytes, digest: bytes) -> Inventory:
    """The inventory, if it is whole and of a form that is known here.

    Args:
        data: `backup.json`.
        digest: `backup.sha256`: hexadecimal.

    Raises:
        BackupError: It is damaged, or of a newer format.
    """
    if hashlib.sha256(data).hexdigest().encode() != digest:
        raise BackupError(f"The backup is damaged: {INVENTORY} is not what {INVENTORY_DIGEST} says.")
    try:
        if (found := msgspec.json.decode(data, type=_Format).format) != FORMAT:
            raise BackupError(
                f"The backup has format {found}; this edgepack knows {FORMAT}.",
                advice="Restore it with the edgepack that made it, or a newer one.",
            )
        return msgspec.json.decode(data, type=Inventory)
    except msgspec.DecodeError as error:
        raise BackupError(f"The backup's inventory is not one of edgepack: {error}.") from None


def check_name(name: str) -> None:
    """Whether a file of this name belongs into a backup.

    Raises:
        BackupError: It would lie elsewhere than backups put files, or is none that they have.
    """
    parts = name.split("/")
    outside = any(part in {"", ".", ".."} for part in parts) or "\0" in name or len(name) > NAME_LENGTH_MAX
    if outside or not (name in DATABASES.values() or name.startswith(FOLDERS)):
        raise BackupError(f"This is no backup of edgepack: it has a file {name[:NAME_LENGTH_MAX]!r}.")
