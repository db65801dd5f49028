"""Writing a backup: files one behind the other, each hashed on its way, and the inventory behind them."""

import hashlib
import tarfile
from collections.abc import Callable
from io import FileIO
from typing import BinaryIO

import msgspec

from edgepack.cli.backup_format import INVENTORY, INVENTORY_DIGEST, FileEntry, Inventory
from edgepack.cli.streams import COPY_SIZE, FileAccessError, WriteBack, chunks_of, name_of, write_all
from edgepack.durable import SECRET_FILE_MODE

END = bytes(2 * tarfile.BLOCKSIZE)
"""Two blocks of zeros end a tar."""


class BackupWriter:
    """Writes the tar.

    Args:
        output: A file or a pipe.
        report: Told the bytes of files that have been written.
    """

    def __init__(self, output: BinaryIO | FileIO, report: Callable[[int], None]) -> None:
        self._output = output
        self._write_back = WriteBack(output)
        self._written = 0
        self._report = report
        self._reported = 0
        self.entries: dict[str, FileEntry] = {}

    def add(self, name: str, file: FileIO, size: int) -> None:
        """Write the next `size` bytes of a file.

        Raises:
            FileAccessError: It cannot be read, or has become shorter.
            OSError: The output cannot be written.
        """
        self._write(_header(name, size))
        digest, left = hashlib.sha256(), size
        for chunk in chunks_of(file, size=size, chunk_size=COPY_SIZE):
            digest.update(chunk)
            self._write(chunk)
            left -= len(chunk)
            self._reported += len(chunk)
            self._report(self._reported)
        if left:
            raise FileAccessError(f"{name_of(file)} became shorter while it was being read.")
        self._write(_padding(size))
        self.entries[name] = FileEntry(size=size, sha256=digest.hexdigest())

    def finish(self, inventory: Inventory) -> None:
        """Write the inventory, its digest and the end.

        Raises:
            OSError: The output cannot be written.
        """
        text = msgspec.json.format(msgspec.json.encode(inventory), indent=1)
        digest = hashlib.sha256(text).hexdigest().encode()
        for name, data in ((INVENTORY, text), (INVENTORY_DIGEST, digest)):
            self._write(_header(name, len(data)) + data + _padding(len(data)))
        self._write(END)

    def _write(self, data: bytes) -> None:
        write_all(self._output, data)
        self._written += len(data)
        self._write_back.reached(self._written)


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, SECRET_FILE_MODE
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
