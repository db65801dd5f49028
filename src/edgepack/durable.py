"""The one way edgepack writes a file that must survive a power cut, and makes the folder it is in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

SECRET_FILE_MODE = 0o600
"""Owner reads and writes, nobody else: the mode of every file that holds a secret."""

SECRET_FOLDER_MODE = 0o700


def write_file(path: Path, data: bytes, *, mode: int) -> None:
    """Replace `path` by `data` so that a crash leaves either the old content or the new one, never a mixture.

    Args:
        path: The file to write; its folder must exist.
        data: The whole content.
        mode: Permission bits, set before the first byte is written, whatever the umask.

    Raises:
        OSError: The file could not be written; `path` is as it was before.
    """
    with replacing(path, mode=mode) as file:
        os.fchmod(file.fileno(), mode)
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]


@contextmanager
def replacing(path: Path, *, mode: int) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` once the block has ended well, and leaves no trace when it has not.

    Temporary file in the same folder, write, fsync, rename, fsync of the folder (rename alone may be lost or
    reordered before the data by the file system).

    Args:
        path: The file to replace; its folder must exist.
        mode: Permission bits, of which the umask takes its own away.

    Yields:
        The file, unbuffered, to be written, read and truncated.

    Raises:
        OSError: The file could not be written; `path` is as it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            yield file
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a private folder, and those above it that are missing, so that a crash does not lose them again.

    Raises:
        OSError: It is not there and cannot be made, or something else is in its place.
    """
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_folder(path.parent)
    path.mkdir(mode=SECRET_FOLDER_MODE, exist_ok=True)
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
