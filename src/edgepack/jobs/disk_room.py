"""Room on the disk that the embedded store shares with the database.

SeaweedFS writes until the disk is full, and then the database cannot even record that a job has failed. So a job stops
while there is still room for that.
"""

import shutil
from pathlib import Path

from edgepack.objects.errors import StoreFullError

MIB = 1 << 20

RESERVE_BYTES = 64 * MIB
"""Left free for the database and its journal, and for what the store writes while it removes an aborted upload."""


class DiskRoom:
    """Knows whether a disk has room.

    Args:
        folder: A folder on the embedded store's disk; None where the store is elsewhere and its room is not known.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def require(self, size: int = 0) -> None:
        """Go on only if there is room for that many bytes, and the reserve.

        Args:
            size: Bytes about to be written.

        Raises:
            StoreFullError: There is not.
        """
        if self._folder is None:
            return
        free = shutil.disk_usage(self._folder).free
        if free < size + RESERVE_BYTES:
            raise StoreFullError(
                f"The embedded store's disk has {free // MIB} MiB left; the job needs {-(-size // MIB)} MiB, "
                f"and {RESERVE_BYTES // MIB} MiB are kept free."
            )
