"""Model archives on disk: unpacking one that nobody trusts, and writing one that is the same every time."""

import errno
import gzip
import io
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import IO, Any, Final

from isal import igzip

from edgepack.compilers.base import CompilationError
from edgepack.errors import ArtifactError
from edgepack.package.errors import shown
from edgepack.package.limits import GIB, MIB, ArchiveLimits
from edgepack.package.scan import scan_archive

COMPRESSION_LEVEL = 2
"""Of isal's 0 to 3: weights hardly shrink, and 3 costs twice the time."""

FILE_MODE = 0o644
COPY_SIZE = 1 * MIB
"""Bytes between two calls of `poll`."""

UNTAR_FAILED = "ClientError: InputConfiguration: Unable to untar input model. Please confirm the model is a tar.gz file"
"""Neo's words, from its troubleshooting page."""

Poll = Callable[[], None]
"""Called at least once per `COPY_SIZE` bytes; what it raises ends the work and comes out of it."""


DEPTH_MAX = 64
"""Components of one path: deeper ones make more folders than files."""

DEFAULT_LIMITS: Final = ArchiveLimits(tar_size=64 * GIB)
"""What an input archive may cost, on a disk."""

UNWRITABLE_NAMES = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})
"""What the system says of a name that its file system cannot have."""


def extract_archive(
    chunks: Iterable[bytes], into: Path, *, limits: ArchiveLimits = DEFAULT_LIMITS, poll: Poll = lambda: None
) -> None:
    """Unpack a model archive: files and directories only, all below `into`, within the limits, read to its checksum.

    The reader is the package's own, so that what is compiled is what would be packaged.

    Args:
        chunks: The `.tar.gz` archive; iterated on another thread.
        into: An existing, empty folder. After an error it holds part of the archive.
        limits: What the archive may cost.
        poll: Called as the bytes flow; may raise to stop.

    Raises:
        CompilationError: It is not a gzip-compressed tar archive, is damaged or too large, or holds what must not be.
        OSError: The folder's disk is full or fails.
    """
    folder = _Folder(into)
    try:
        scan_archive(chunks, limits=limits, observe=lambda _progress: poll(), contents=folder)
    except CompilationError:
        raise
    except ArtifactError as error:
        raise CompilationError(f"{UNTAR_FAILED} ({error.message})") from error
    finally:
        folder.close()


class _Folder:
    """Writes an archive's members below a folder; nothing there is ever replaced or followed."""

    def __init__(self, into: Path) -> None:
        self._into = into
        self._file: FileIO | None = None

    def directory(self, path: str) -> None:
        with _named(path):
            self._below(path).mkdir(parents=True, exist_ok=True)

    def begin(self, path: str, size: int) -> None:  # noqa: ARG002 - the protocol's
        target = self._below(path)
        with _named(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._file = FileIO(target, "x")

    def write(self, data: memoryview) -> None:
        assert self._file is not None
        while data:
            data = data[self._file.write(data) :]

    def end(self) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _below(self, path: str) -> Path:
        if path.count("/") >= DEPTH_MAX:
            raise CompilationError(f"{UNTAR_FAILED} (the member {shown(path)} is in more than {DEPTH_MAX} folders).")
        return self._into / path


@contextmanager
def _named(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE_NAMES:
            raise
        raise CompilationError(
            f"{UNTAR_FAILED} (the member {shown(path)} cannot be written: {error.strerror})."
        ) from error


def write_archive(folder: Path, out: Path, *, poll: Poll = lambda: None) -> None:
    """Write all files below `folder` as a `.tar.gz` that depends on their names and contents alone.

    Members are sorted by path; owner, group and times are zero; modes are 0644.

    Args:
        folder: What to pack; it holds files and directories only.
        out: The file to write.
        poll: Called as the bytes flow; may raise to stop.

    Raises:
        CompilationError: The compiler left something that is neither a file nor a directory, or no file at all.
    """
    files = files_below(folder)
    if not files:
        raise CompilationError("ClientError: The compiler left no file.")
    with (
        out.open("wb") as file,
        _gzip(file) as deflated,
        tarfile.TarFile(fileobj=deflated, mode="w", format=tarfile.PAX_FORMAT, copybufsize=COPY_SIZE) as tar,
    ):
        for name, path in files.items():
            with path.open("rb") as content:
                tar.addfile(_member(name, path.stat().st_size), io.BufferedReader(_Polled(content, poll), COPY_SIZE))


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content to a name that is not taken, making the folders on the way.

    Raises:
        CompilationError: The name is taken: the model archive has a file that the compiler writes itself.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise CompilationError(
            f"ClientError: InputConfiguration: The model archive holds {target.name!r}, which the compiler writes."
        )
    shutil.copyfile(source, target)


def files_below(folder: Path) -> dict[str, Path]:
    """The files below a folder by their relative path with `/`, sorted.

    Raises:
        CompilationError: Something there is neither a file nor a directory.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise CompilationError(f"ClientError: {name!r} is neither a file nor a directory.")
        if path.is_file():
            found[name] = path
    return found


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, FILE_MODE
    return member


def _gzip(file: IO[bytes]) -> gzip.GzipFile:
    """A gzip file through isal, without a name or a time in its header. Does not close `file`."""
    found: gzip.GzipFile = igzip.IGzipFile("", "wb", COMPRESSION_LEVEL, file, 0)  # type: ignore[no-untyped-call]  # isal
    return found


class _Polled(io.RawIOBase):
    """Reads a file and calls `poll` before each read."""

    def __init__(self, file: IO[bytes], poll: Poll) -> None:
        self._file = file
        self._poll = poll

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._poll()
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
