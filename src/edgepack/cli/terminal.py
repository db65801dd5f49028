"""What the local commands show: how far they have come, what came out, and foreign text that steers nothing."""

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

import click

from edgepack.errors import StateError

if TYPE_CHECKING:
    from rich.table import Table

    from edgepack.package.scan import Progress
    from edgepack.package.trust import SignerIdentity

Report = Callable[["int | Progress"], None]
"""Told the bytes done so far."""

TABLE_FILES_MAX = 1000
"""Files of a table at most: laying one out takes half a second and 5 MB for as many; of 100,000 it took 50 s."""

TABLE_COLUMNS_MIN = 120
"""Columns of a terminal from which on a table has room for a digest in one piece; below, lines can be copied better."""


class NotToldError(StateError):
    """What a command was asked could not be found out or not be told: nothing is said of the package by that."""

    code = "NotTold"
    advice = "Check where the output goes and the free space there, and run the command again."


@contextmanager
def telling() -> Iterator[None]:
    """Print to standard output in this block, to the last byte.

    Raises:
        NotToldError: It is closed, its disk is full, or its reader has gone.
    """
    if sys.stdout is None:
        raise NotToldError("Standard output is closed: nobody can be told.")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        _discard(sys.stdout)
        raise NotToldError(f"The output cannot be written: {error.strerror}.") from error


@contextmanager
def noting() -> Iterator[None]:
    """Print to standard error in this block. Where that cannot be written, the exit code must do."""
    try:
        yield
    except OSError:
        _discard(sys.stderr)


def note(text: str) -> None:
    """A line of edgepack's own on standard error, as in `noting`."""
    with noting():
        click.echo(f"edgepack: {text}", err=True)


@contextmanager
def reporting(title: str, total: int | None) -> "Iterator[Report]":
    """A progress bar on a terminal's standard error; nothing elsewhere.

    Args:
        title: What is being done.
        total: Bytes there are to do; None where nobody knows.
    """
    if not sys.stderr.isatty():
        yield lambda _progress: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda progress: bar.update(
            task, completed=progress if isinstance(progress, int) else progress.bytes_read
        )


def printable(text: str) -> str:
    """Text from an untrusted package as a terminal may show it: nothing in it steers the terminal."""
    return text if text.isprintable() else ascii(text)


def message_shown(text: str) -> str:
    """A message that may repeat what a user or a package said: as it stands, with what could steer escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def signer_shown(signer: "SignerIdentity") -> str:
    """Who signed, by name and by what cannot be forged."""
    return f"{printable(signer.name)} (SHA-256 {signer.fingerprint})"


def table_of(count: int) -> bool:
    """Whether so many files are shown as a table: on a terminal that is wide enough, unless they are too many."""
    wide = sys.stdout.isatty() and shutil.get_terminal_size().columns >= TABLE_COLUMNS_MIN
    return wide and count <= TABLE_FILES_MAX


def files_table(*more: str) -> "Table":
    """A table for files and their digests, which stay in one piece, with further columns."""
    from rich.table import Table

    table = Table("file", "bytes", "SHA-256", *more)
    table.columns[0].overflow, table.columns[1].justify = "fold", "right"
    table.columns[2].no_wrap = True
    return table


def _discard(stream: TextIO) -> None:
    """What is still buffered would be tried again at the end, and fail once more with a message of Python's."""
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
