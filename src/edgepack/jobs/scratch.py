"""Folders on disk for jobs while they run: private, gone afterwards, and removed by others if their worker dies.

A worker that lives holds a lock (flock(2)) on its own folder, and the kernel gives it back however the worker ends. So
nobody need guess by age or by process id whether a folder is still in use. The folder must be on a local disk.
"""

import errno
import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgepack.errors import StateError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ScratchError(StateError):
    """The worker's scratch folder cannot be used."""

    code = "ScratchFailure"
    advice = "Make room on the worker's disk, or give it a data folder on a larger one; then create the job again."


class Scratch:
    """One worker's part of the folder that all workers of a data folder share.

    Args:
        parent: The shared folder; created (0700) when it is first needed.
    """

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self._own: Path | None = None
        self._lock: int | None = None
        self._claiming = threading.Lock()

    @contextmanager
    def folder(self, workflow_id: str) -> Iterator[Path]:
        """A new folder (0700) for one attempt at a job.

        Args:
            workflow_id: The attempt's, for whoever looks what a folder is for.

        Yields:
            The folder; it is removed at the end, whatever happened.

        Raises:
            ScratchError: The disk is full, or the folder cannot be used.
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"{workflow_id}.", dir=self._claimed()))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            what = "has no room left" if error.errno in DISK_FULL else f"cannot be used: {error.strerror}"
            raise ScratchError(f"The worker's scratch folder {what}.") from error

    def sweep(self) -> int:
        """Remove the folders of workers that are no more; how many. What cannot be removed is left for the next time.

        Raises:
            ScratchError: The shared folder cannot be read.
        """
        try:
            with _locked(self.parent):
                abandoned = [(folder, lock) for folder in self.parent.iterdir() if (lock := _taken(folder)) is not None]
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise ScratchError(f"The scratch folder {self.parent} cannot be swept: {error.strerror}.") from error
        for folder, lock in abandoned:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
        return len(abandoned)

    def close(self) -> None:
        """Remove this worker's own folder: it ends in order."""
        if self._own is not None and self._lock is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            os.close(self._lock)
            self._own = self._lock = None

    def _claimed(self) -> Path:
        """This worker's own folder, locked until it ends."""
        with self._claiming:
            if self._own is None:
                self.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with _locked(self.parent):  # or somebody might sweep it before it is locked
                    own = Path(tempfile.mkdtemp(prefix="worker-", dir=self.parent))
                    self._lock = _taken(own)
                self._own = own
            return self._own


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone among the workers for the time of the block."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _taken(folder: Path) -> int | None:
    """The descriptor that holds a folder's lock; None if somebody else has it, or it is no folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
