"""What the local commands show on a terminal: how far they have come, and foreign text that steers nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgepack.package.scan import Progress

Report = Callable[["int | Progress"], None]
"""Told the bytes done so far."""

TABLE_FILES_MAX = 1000
"""Files of a table at most: laying one out takes half a second and 5 MB for as many; of 100,000 it took 50 s."""


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


def table_of(count: int) -> bool:
    """Whether so many files are shown as a table: on a terminal, unless they are too many."""
    return sys.stdout.isatty() and count <= TABLE_FILES_MAX
