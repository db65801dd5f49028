"""Files of the local commands: read in chunks, written so that a failure leaves nothing behind, `-` for the pipes."""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import click

from edgepack import durable
from edgepack.cli.leaving import wait_readable
from edgepack.cli.terminal import printable
from edgepack.errors import StateError

CHUNK_SIZE = 1024 * 1024
"""Bytes read at once: what the inflater takes in one piece."""

COPY_SIZE = 128 * 1024
"""Bytes copied at once: they stay in the processor's cache between being read, checked and written. With 1 MiB, copying
1 GB took up to three times as long."""

WRITE_BACK_SIZE = 8 * 1024 * 1024
"""Bytes after which the disk is given work, so that it is nearly done when the final fsync asks for it."""

PIPE = "-"
"""Stands for standard input or output in place of a file's name."""

PUBLIC_FILE_MODE = 0o666
"""Mode of a new package before the user's umask is applied: packages hold no secret."""


class FileAccessError(StateError):
    """A file that the user named cannot be read or written; nothing was left behind."""

    code = "FileUnusable"
    advice = "Check the path, its permissions and the free space."


def chunks_of(file: FileIO, *, size: int = sys.maxsize, chunk_size: int = CHUNK_SIZE) -> Iterator[bytes]:
    """A file's bytes from where it stands, in chunks.

    Args:
        file: An unbuffered file or pipe.
        size: How many bytes at most; fewer come where the file ends earlier.
        chunk_size: Bytes of a chunk at most.

    Raises:
        FileAccessError: Reading failed.
    """
    try:
        while size and (chunk := _next_chunk(file, min(size, chunk_size))):
            yield chunk
            size -= len(chunk)
    except OSError as error:
        raise FileAccessError(f"{name_of(file)} cannot be read: {error.strerror}.") from error


def _next_chunk(file: FileIO, size: int) -> bytes:
    if file.seekable():
        return file.read(size)
    chunk: bytes | None = None
    while chunk is None:  # as a pipe that does not block says it when another reader was quicker
        wait_readable(file.fileno())
        chunk = file.read(size)
    return chunk


@contextmanager
def opened(name: str) -> Iterator[FileIO]:
    """A file for reading, unbuffered; standard input for `-`.

    Raises:
        click.BadParameter: It is not there, is a folder or may not be read: a usage error.
    """
    if name == PIPE:
        if sys.stdin is None:
            raise click.BadParameter("standard input is closed.")
        yield FileIO(sys.stdin.fileno(), closefd=False)
        return
    try:
        file = FileIO(name)
    except OSError as error:
        raise click.BadParameter(f"{path_shown(name)}: {error.strerror}.") from None
    with file:
        yield file


def name_of(file: FileIO) -> str:
    """A file as a message names it."""
    return "standard input" if file.name == 0 else path_shown(str(file.name))


def path_shown(name: str | Path) -> str:
    """A path as a message or a verdict shows it: it can neither steer the terminal nor begin a line of its own."""
    return printable(str(name)) if str(name) else "''"


def size_of(file: FileIO) -> int | None:
    """A file's bytes from where it stands; None for a pipe, which nobody knows the end of."""
    return max(0, os.fstat(file.fileno()).st_size - file.tell()) if file.seekable() else None


@contextmanager
def replacing(target: Path, *, mode: int = PUBLIC_FILE_MODE) -> Iterator[BinaryIO]:
    """A file that takes the target's place once the block has ended well: see `durable.replacing`.

    Args:
        target: The file.
        mode: Its permissions, before the user's umask is applied.

    Raises:
        FileAccessError: It cannot be written; the target is as it was.
    """
    try:
        with durable.replacing(target, mode=mode) as file:
            yield file
    except OSError as error:
        raise FileAccessError(f"{path_shown(target)} cannot be written: {error.strerror}.") from error


@contextmanager
def standard_output() -> Iterator[FileIO]:
    """Standard output for a package, unbuffered: nothing is left to be written when the command leaves early.

    Raises:
        FileAccessError: It cannot be written, as when its reader has gone.
    """
    try:
        yield FileIO(sys.stdout.fileno(), "wb", closefd=False)
    except OSError as error:
        raise FileAccessError(f"Standard output cannot be written: {error.strerror}.") from error


def write_all(file: BinaryIO | FileIO, data: bytes | memoryview) -> None:
    """Write every byte: unbuffered files and pipes may take a part at a time.

    Raises:
        OSError: The disk is full, or the reader has gone.
    """
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


class WriteBack:
    """Starts writing a growing file to disk while it is still being filled.

    Args:
        file: The file. A pipe is left alone.
    """

    def __init__(self, file: BinaryIO | FileIO) -> None:
        self._descriptor = file.fileno()
        self._started = 0
        self._regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)

    def reached(self, size: int) -> None:
        """Tell how many bytes the file has by now."""
        if self._regular and size - self._started >= WRITE_BACK_SIZE:
            # Linux starts write-back of dirty pages before it looks which ones it may forget.
            os.posix_fadvise(self._descriptor, self._started, size - self._started, os.POSIX_FADV_DONTNEED)
            self._started = size


@contextmanager
def scratch(folder: Path | None) -> Iterator[FileIO]:
    """An unnamed file that vanishes when it is closed, however the process ends.

    Args:
        folder: On whose disk; None for that of `TMPDIR`.
    """
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        yield file


def regular_target(name: str) -> Path:
    """Where a file is to be written, links followed.

    Raises:
        click.BadParameter: It is there and no regular file, or its folder is missing: usage errors.
    """
    target = Path(name).resolve()
    if not target.parent.is_dir():
        raise click.BadParameter(f"{path_shown(target.parent)} is not a folder.", param_hint="--out")
    if target.exists() and not target.is_file():
        raise click.BadParameter(f"{path_shown(name)} is not a regular file.", param_hint="--out")
    return target


def package_target(name: str, source: str) -> Path | None:
    """Where a package is to be written, links followed; None for standard output.

    Raises:
        click.BadParameter: It is the source itself, standard output is closed, or as for `regular_target`.
    """
    if name == PIPE:
        if sys.stdout is None:
            raise click.BadParameter("standard output is closed.", param_hint="--out")
        return None
    target = regular_target(name)
    if source != PIPE and target.exists() and Path(source).exists() and target.samefile(source):
        raise click.BadParameter(f"{path_shown(name)} is the model artifact itself.", param_hint="--out")
    return target


def files(count: int) -> str:
    """A number of files, in words."""
    return f"{count} file{'' if count == 1 else 's'}"
