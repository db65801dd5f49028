"""Reading a backup into a folder of its own: nothing of it is believed before all of it has been read and checked."""

import hashlib
import os
import tarfile
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import IO, Final

from edgepack.cli import backup_format as form
from edgepack.cli.backup_format import BackupError, FileEntry, Inventory
from edgepack.cli.streams import CHUNK_SIZE, FileAccessError, WriteBack, name_of, path_shown, write_all
from edgepack.durable import SECRET_FILE_MODE, sync_folder

FOLDER_MODE: Final = 0o700
DIGEST_SIZE: Final = 64
"""Characters of a hexadecimal SHA-256."""
FILES_MAX: Final = 1_000_000
"""Files of a backup at most: a store of 10,000 buckets has fewer than a tenth."""

CUT_SHORT = "The backup is damaged or was cut short"


class BackupReader:
    """Unpacks one backup.

    Args:
        source: The tar, read once.
        folder: An empty folder of our own.
        report: Told the bytes of files that have been read.
        first: Told the name of the first file, the database's, and may refuse to go on.
    """

    def __init__(
        self, source: FileIO, folder: Path, *, report: Callable[[int], None], first: Callable[[str], None]
    ) -> None:
        self._source = source
        self._folder = folder
        self._report = report
        self._first = first
        self._done = 0
        self._entries: dict[str, FileEntry] = {}
        self._small: dict[str, bytes] = {}

    def unpack(self) -> Inventory:
        """Put its files into the folder, and check them against the inventory.

        Raises:
            BackupError: It is damaged, incomplete, too new, or no backup.
            FileAccessError: It cannot be read, or the folder cannot be written.
        """
        try:
            with tarfile.open(fileobj=_Source(self._source), mode="r|", bufsize=CHUNK_SIZE) as tar:  # type: ignore[call-overload]
                for member in tar:
                    self._take(tar, member)
            for parent, _, _ in os.walk(self._folder):
                sync_folder(Path(parent))
        except (tarfile.TarError, UnicodeError, ValueError, EOFError) as error:
            raise BackupError(f"{CUT_SHORT}: {error}.") from None
        except OSError as error:
            raise FileAccessError(f"{path_shown(self._folder)} cannot be written: {error.strerror}.") from error
        return self._checked()

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = member.name
        if form.INVENTORY_DIGEST in self._small or len(self._entries) > FILES_MAX:
            raise BackupError(f"This is no backup of edgepack: {name!r} stands behind its end.")
        if name in self._entries or name in self._small:
            raise BackupError(f"This is no backup of edgepack: it has {name!r} twice.")
        if member.type not in tarfile.REGULAR_TYPES or member.issparse():
            raise BackupError(f"This is no backup of edgepack: {name!r} is no regular file.")
        content = tar.extractfile(member)
        assert content is not None
        if name in {form.INVENTORY, form.INVENTORY_DIGEST}:
            limit = form.INVENTORY_SIZE_MAX if name == form.INVENTORY else DIGEST_SIZE
            if member.size > limit:
                raise BackupError(f"This is no backup of edgepack: {name} has {member.size} bytes.")
            self._small[name] = content.read()
            return
        form.check_name(name)
        if not self._entries:
            self._first(name)
        elif name in form.DATABASES.values():
            raise BackupError(f"This is no backup of edgepack: {name!r} is not its first file.")
        self._entries[name] = self._stored(self._folder / name, content)

    def _stored(self, path: Path, content: IO[bytes]) -> FileEntry:
        _make_folders(self._folder, path.parent)
        digest, size = hashlib.sha256(), 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, SECRET_FILE_MODE)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            write_back = WriteBack(file)
            while chunk := content.read(CHUNK_SIZE):
                digest.update(chunk)
                write_all(file, chunk)
                size += len(chunk)
                write_back.reached(size)
                self._report(self._done + size)
            os.fsync(descriptor)
        self._done += size
        return FileEntry(size=size, sha256=digest.hexdigest())

    def _checked(self) -> Inventory:
        if self._small.keys() != {form.INVENTORY, form.INVENTORY_DIGEST}:
            raise BackupError(f"{CUT_SHORT}: its inventory is missing.")
        inventory = form.decode_inventory(self._small[form.INVENTORY], self._small[form.INVENTORY_DIGEST])
        database = form.DATABASES.get(inventory.database)
        if self._entries.keys() & set(form.DATABASES.values()) != ({database} if database else set()):
            raise BackupError("The backup is damaged: its database is not of the kind that the inventory says.")
        for name in sorted(inventory.files.keys() | self._entries.keys()):
            if inventory.files.get(name) != self._entries.get(name):
                raise BackupError(f"The backup is damaged: {name!r} is not what the inventory says.")
        return inventory


class _Source:
    """What tarfile reads from: reading that fails is told apart from writing that does."""

    def __init__(self, file: FileIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise FileAccessError(f"{name_of(self._file)} cannot be read: {error.strerror}.") from error


def _make_folders(top: Path, folder: Path) -> None:
    """Make a folder and those above it, private all of them: `mkdir` gives its mode to the last one only."""
    if folder != top:
        _make_folders(top, folder.parent)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
