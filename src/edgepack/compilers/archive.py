"""Model archives on disk: unpacking one that nobody trusts, and writing one that is the same every time."""

import gzip
import io
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

from isal import igzip, igzip_lib

from edgepack.compilers.base import CompilationError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

COMPRESSION_LEVEL = 2
"""Of isal's 0 to 3: weights hardly shrink, and 3 costs twice the time."""

FILE_MODE = 0o644
DIRECTORY_MODE = 0o755
COPY_SIZE = 1 * MIB
"""Bytes between two calls of `poll`."""

END_MARKER_SIZE = 2 * tarfile.BLOCKSIZE
"""Zero bytes that end a tar archive."""

TAIL_SIZE_MAX = 64 * MIB
"""Zero bytes that may follow the members: tar pads to its record size, of some hundred KiB at most."""

UNTAR_FAILED = "ClientError: InputConfiguration: Unable to untar input model. Please confirm the model is a tar.gz file"
"""Neo's words, from its troubleshooting page."""

_ISAL_ERROR: type[Exception] = igzip_lib.error  # type: ignore[assignment]  # isal's stub calls the class an instance
_DAMAGED = (tarfile.TarError, gzip.BadGzipFile, _ISAL_ERROR, EOFError, UnicodeError)
"""What reading a damaged archive raises."""

Poll = Callable[[], None]
"""Called at least once per `COPY_SIZE` bytes; what it raises ends the work and comes out of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionLimits:
    """What an input archive may cost.

    Attributes:
        size: Bytes of all files together.
        members: Tar members, directories included.
        depth: Components of one path.
    """

    size: int = 64 * GIB
    members: int = 200_000
    depth: int = 64


DEFAULT_LIMITS: Final = ExtractionLimits()


def extract_archive(
    path: Path, into: Path, *, limits: ExtractionLimits = DEFAULT_LIMITS, poll: Poll = lambda: None
) -> None:
    """Unpack a model archive: files and directories only, all below `into`, within the limits, read to its checksum.

    Args:
        path: The `.tar.gz` file.
        into: An existing, empty folder. After an error it holds part of the archive.
        limits: What the archive may cost.
        poll: Called as the bytes flow; may raise to stop.

    Raises:
        CompilationError: It is not a gzip-compressed tar archive, is damaged or too large, or holds links or devices.
    """
    try:
        with path.open("rb") as file, _gzip(_Polled(file, poll), "rb") as inflated:
            _Extraction(inflated, into, limits).run()
    except _DAMAGED as error:
        raise CompilationError(f"{UNTAR_FAILED} ({error}).") from error


class _Extraction:
    """One run over an archive. Is the file that tarfile reads from, so as to see what tarfile does not look at."""

    def __init__(self, inflated: gzip.GzipFile, into: Path, limits: ExtractionLimits) -> None:
        self._inflated = inflated
        self._into = into
        self._limits = limits
        self._size = 0
        self._members = 0
        self._block, self._position, self._end = b"", 0, 0

    def read(self, size: int) -> bytes:
        self._block = self._inflated.read(size)
        self._position += len(self._block)
        return self._block

    def run(self) -> None:
        source: Any = self  # tarfile's stub asks for more than reading
        with tarfile.open(fileobj=source, mode="r|", bufsize=COPY_SIZE, errorlevel=2) as tar:
            for member in tar:
                self._check(member)
                try:
                    tar.extract(member, self._into, set_attrs=False, filter="data")
                except OSError as error:
                    raise _refused(member, f"it cannot be written: {error.strerror}") from error
                self._end = member.offset_data + member.size + -member.size % tarfile.BLOCKSIZE
                tar.members.clear()  # type: ignore[attr-defined]  # it keeps all headers otherwise
        if not self._members:
            raise CompilationError(f"{UNTAR_FAILED} (it holds no member).")
        self._check_tail()

    def _check(self, member: tarfile.TarInfo) -> None:
        self._members += 1
        if self._members > self._limits.members:
            raise CompilationError(f"{UNTAR_FAILED} (it has more than {self._limits.members} members).")
        if not (member.isreg() or member.isdir()) or member.issparse():
            raise _refused(member, "only plain files and directories are allowed, no links and no devices")
        parts = member.name.split("/")
        if member.name.startswith("/") or ".." in parts or len(parts) > self._limits.depth:
            raise _refused(member, "its path leads out of the archive or is too deep")
        self._size += member.size
        if self._size > self._limits.size:
            raise CompilationError(f"{UNTAR_FAILED} (it unpacks to more than {self._limits.size} bytes).")
        if member.isreg() and (self._into / member.name).exists():
            raise _refused(member, "another member has the same name")

    def _check_tail(self) -> None:
        """Nothing but zeros may follow the members, at least two blocks of them; the gzip checksum comes after."""
        tail = self._block[self._end - self._position + len(self._block) :]
        while tail:
            if tail.strip(b"\0") or self._position - self._end > TAIL_SIZE_MAX:
                raise CompilationError(f"{UNTAR_FAILED} (data follows the end of the tar archive).")
            tail = self.read(COPY_SIZE)
        if self._position - self._end < END_MARKER_SIZE:
            raise CompilationError(f"{UNTAR_FAILED} (it ends without an end marker).")


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
        _gzip(file, "wb") as deflated,
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


def _refused(member: tarfile.TarInfo, why: str) -> CompilationError:
    return CompilationError(f"{UNTAR_FAILED} (the member {ascii(member.name)[:200]}: {why}).")


def _gzip(file: IO[bytes] | io.RawIOBase, mode: Literal["rb", "wb"]) -> gzip.GzipFile:
    """A gzip file through isal, without a name or a time in its header. Does not close `file`."""
    found: gzip.GzipFile = igzip.IGzipFile("", mode, COMPRESSION_LEVEL, file, 0)  # type: ignore[no-untyped-call]  # isal
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
