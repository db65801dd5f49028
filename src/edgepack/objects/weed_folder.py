"""The embedded store's folder: what it holds beside the objects, written so that a power cut leaves none of it half."""

import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edgepack.durable import SECRET_FILE_MODE, make_folder, write_file
from edgepack.errors import StateError
from edgepack.objects import weed_settings
from edgepack.objects.ports import can_listen, draw_ports, is_free
from edgepack.objects.weed_certificates import make_certificates
from edgepack.objects.weed_settings import Ports, StoreCredential

PORTS_FILE: Final = "ports.json"
AUTHORITY_FILE: Final = "authority.pem"
LOG_TAIL_BYTES: Final = 2000
DRAWS: Final = 20
"""Sets of ports tried while somebody else's files bear the names of their sockets."""


def remove_sockets(ports: Ports) -> bool:
    """Remove what an earlier store has left; False if somebody else's file has one of the names."""
    for path in ports.sockets():
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return not any(os.path.lexists(path) for path in ports.sockets())


class StoreFolder:
    """The folder of one embedded store; only its owner may enter.

    Args:
        path: Where it is or is to be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def output(self) -> Path:
        """Where the store's standard output and error go; its log proper is under ``logs``."""
        return self.path / "weed.out"

    def make(self) -> None:
        """Make the folder if it is missing.

        Raises:
            StateError: It cannot be made.
        """
        try:
            for folder in (self.path, self.path / "data", self.path / "logs"):
                make_folder(folder)
        except OSError as error:
            raise StateError(f"The embedded store's folder {self.path} cannot be made: {error}.") from error

    def prepare(self, credentials: Sequence[StoreCredential]) -> None:
        """Write the folder's files or bring them up to date; only for whoever holds the folder's lock.

        The store's own secrets are made once, and again where the folder has been moved: their paths are absolute.

        Raises:
            StateError: The folder cannot be written.
        """
        try:
            # SeaweedFS notes its flags here and would apply old ones that are no longer given.
            (self.path / "data" / "mini.options").unlink(missing_ok=True)
            self.output.unlink(missing_ok=True)
            self.write_users(credentials)
            if not self._has_secrets():
                self._write_secrets()
        except OSError as error:
            raise StateError(f"The embedded store's folder {self.path} cannot be written: {error}.") from error

    def write_users(self, credentials: Sequence[StoreCredential]) -> None:
        """Replace the list of S3 users.

        Raises:
            OSError: It could not be written; the old one is there as it was.
        """
        users = weed_settings.s3_users(credentials)
        write_file(self.path / weed_settings.S3_USERS_FILE, users, mode=SECRET_FILE_MODE)

    def remove_users(self) -> None:
        """Remove the list once the store has read it: it holds secrets in plain text, and is not read again."""
        (self.path / weed_settings.S3_USERS_FILE).unlink(missing_ok=True)

    def choose_ports(self, wanted: int) -> Ports:
        """The ports of the last start where they are free, so that nothing changes for those who noted them.

        Args:
            wanted: Where S3 is to answer; 0 for any free port.

        Raises:
            StateError: The wanted port is in use, or too few ports of this machine are free.
        """
        if wanted and not can_listen(wanted):
            raise StateError(f"The S3 port {wanted} is in use.", advice="Choose another port, or 0 for any free one.")
        known = self._known_ports()
        if (
            known is not None
            and wanted in {0, known.s3}
            and can_listen(known.s3)
            and all(map(is_free, known.helpers()))
            and remove_sockets(known)
        ):
            return known
        for _ in range(DRAWS):
            drawn = draw_ports(6, taken=frozenset({wanted} if wanted else ()))
            ports = Ports(
                s3=wanted or drawn[0],
                s3_grpc=drawn[1],
                master=drawn[2],
                volume=drawn[3],
                filer=drawn[4],
                admin=drawn[5],
            )
            if remove_sockets(ports):
                return ports
        raise StateError("Other users' sockets stand in the way of the embedded store: /tmp/seaweedfs-*.sock.")

    def note_ports(self, ports: Ports) -> None:
        """Keep the ports for the next start.

        Raises:
            OSError: They could not be written.
        """
        write_file(self.path / PORTS_FILE, json.dumps(asdict(ports)).encode(), mode=SECRET_FILE_MODE)

    def log_tail(self) -> str:
        """The end of what the store said, for an error message."""
        tails = []
        for path in (self.output, self.path / "logs" / "weed.ERROR"):
            with suppress(OSError):
                tails.append(path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip())
        return f"The end of its log: {' | '.join(filter(None, tails)) or 'nothing'}"

    def _known_ports(self) -> Ports | None:
        with suppress(OSError, ValueError, TypeError):
            return Ports(**json.loads((self.path / PORTS_FILE).read_bytes()))
        return None

    def _has_secrets(self) -> bool:
        with suppress(FileNotFoundError):
            security = (self.path / weed_settings.SECURITY_FILE).read_bytes()
            return json.dumps(str(self.path / AUTHORITY_FILE)).encode() in security
        return False

    def _write_secrets(self) -> None:
        made = make_certificates(now=datetime.now(UTC))
        jwt_keys = {name: secrets.token_hex(32) for name in weed_settings.JWT_KEYS}
        security = weed_settings.security_toml(self.path, jwt_keys)
        for name, content in (
            (AUTHORITY_FILE, made.authority),
            ("weed.pem", made.certificate),
            ("weed.key", made.key),
            (weed_settings.SECURITY_FILE, security),  # last: where it is, the others are complete
        ):
            write_file(self.path / name, content, mode=SECRET_FILE_MODE)
