"""The one way edgepack writes a file that must survive a power cut."""

import os
from pathlib import Path

SECRET_FILE_MODE = 0o600
"""Owner reads and writes, nobody else: the mode of every file that holds a secret."""


def write_file(path: Path, data: bytes, *, mode: int) -> None:
    """Replace `path` by `data` so that a crash leaves either the old content or the new one, never a mixture.

    Temporary file in the same folder, write, fsync, rename, fsync of the folder (rename alone may be lost or
    reordered before the data by the file system).

    Args:
        path: The file to write; its folder must exist.
        data: The whole content.
        mode: Permission bits, set before the first byte is written.

    Raises:
        OSError: The file could not be written; `path` is as it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        _write_synced(temporary, data, mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable: a new or renamed file is only safe once its folder is on disk.

    Raises:
        OSError: The folder could not be opened or synced.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
