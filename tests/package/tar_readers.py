"""Other people's tar readers: which regular files each of them unpacks, and what each has in it."""

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

from edgepack.package import gzip_format
from package.splicing import spliced

View = dict[str, str]
"""Path to hex SHA-256."""

COMMANDS = {
    "GNU tar": ("tar", "-xzf", "-", "--no-same-owner"),
    "bsdtar": ("bsdtar", "-xzf", "-", "-o", "--no-xattrs", "--no-acls", "--no-fflags"),
    "bsdtar as on macOS": ("bsdtar", "--options", "tar:mac-ext", "-xzf", "-", "-o", "--no-xattrs", "--no-acls"),
    "busybox": ("busybox", "tar", "-xzf", "-", "-o"),
}
"""As somebody unpacks who is not root: with the files, without owners and attributes."""

LANGUAGE = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}


class ReaderFailedError(Exception):
    """A reader gave the archive up, or said that something is wrong with it."""


def unpacked(folder: Path) -> View:
    """The regular files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def by_command(command: tuple[str, ...], archive: bytes) -> View:
    """What a program unpacks into an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, "-C", folder], input=archive, capture_output=True, check=False, env=LANGUAGE, timeout=60
        )
        if done.returncode:
            raise ReaderFailedError(done.stderr.decode(errors="replace"))
        return unpacked(Path(folder))


def by_python(archive: bytes, *, streaming: bool) -> View:
    """What Python's own reader unpacks, whatever it raises."""
    with tempfile.TemporaryDirectory() as folder, io.BytesIO(archive) as data:
        if streaming:
            with tarfile.open(fileobj=data, mode="r|gz") as tar:
                tar.extractall(folder, filter="data")
        else:
            with tarfile.open(fileobj=data, mode="r:gz") as tar:
                tar.extractall(folder, filter="data")
        return unpacked(Path(folder))


Reader = Callable[[bytes], View]

PYTHON: dict[str, Reader] = {
    "Python": partial(by_python, streaming=False),
    "Python, streaming": partial(by_python, streaming=True),
}


def programs() -> dict[str, Reader]:
    """The readers that are installed here; GNU tar is everywhere."""
    found = {name: command for name, command in COMMANDS.items() if name == "GNU tar" or shutil.which(command[0])}
    return {name: partial(by_command, command) for name, command in found.items()}


def as_packaged(archive: bytes) -> tuple[View, bytes]:
    """What edgepack sees in an archive, and the one gzip member that it puts into a package.

    Raises:
        ArtifactError: edgepack refuses it.
    """
    scan, deflate = spliced(archive)
    view = {file.path: file.sha256 for file in scan.files}
    return view, gzip_format.CANONICAL_HEADER + deflate + gzip_format.trailer(scan.crc32, scan.tar_size)
