"""The folder of the data folder in which every key lives, and the lock under which keys are made."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgepack.durable import make_folder

KEYS_FOLDER = "keys"


@contextmanager
def locked_keys_folder(data: Path) -> Iterator[Path]:
    """The keys folder, created when missing, held so that one process at a time makes keys in it.

    The lock is on the folder itself: it leaves no lock file behind, and ends with its process.

    Args:
        data: The data folder; created when missing.

    Raises:
        OSError: The folder cannot be created or opened.
    """
    folder = data / KEYS_FOLDER
    make_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)
