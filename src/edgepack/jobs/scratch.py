"""A job's folder on disk while it runs: its own, private, and gone afterwards."""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgepack.errors import StateError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ScratchError(StateError):
    """The worker's scratch folder cannot be used."""

    code = "ScratchFailure"
    advice = "Make room on the worker's disk, or give it a data folder on a larger one; then create the job again."


@contextmanager
def scratch_folder(parent: Path, workflow_id: str) -> Iterator[Path]:
    """A new folder (0700) for one attempt at a job; what earlier attempts of dead workers left is removed first.

    Args:
        parent: The worker's scratch folder; created if absent.
        workflow_id: The job's, unique.

    Yields:
        The folder; it is removed at the end, whatever happened.

    Raises:
        ScratchError: The disk is full, or the folder cannot be used.
    """
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in parent.glob(f"{workflow_id}.*"):
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{workflow_id}.", dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        what = "has no room left" if error.errno in DISK_FULL else f"cannot be used: {error.strerror}"
        raise ScratchError(f"The worker's scratch folder {what}.") from error
