"""What a process works with: the data folder with its lock, the server's whereabouts, the store."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgepack.durable import SECRET_FILE_MODE, make_folder, write_file
from edgepack.errors import StateError
from edgepack.settings import Settings

if TYPE_CHECKING:
    from edgepack.database.engine import Database
    from edgepack.objects.store import ObjectStore

PRIVATE_UMASK = 0o077
"""Of a server: SQLite and SeaweedFS make their files with whatever the umask leaves."""

ENDPOINTS_FILE = "endpoints.json"


class ServerRunningError(StateError):
    """Another server uses the data folder."""

    code = "ServerRunning"
    advice = "Stop it first, or choose another folder with --data."


class NoServerError(StateError):
    """No server has been started with this data folder."""

    code = "NoServer"
    advice = "Start one with `edgepack serve --data DIR`."


class Endpoints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a server was last reachable; what `edgepack env` reads.

    Attributes:
        api: URL of the API.
        s3: URL of the store.
        kms: URL of the KMS that clients should use.
        region: The server's region.
        account_id: Account of the first access key.
        database: The database's URL when it is not the data folder's own.
    """

    api: str
    s3: str
    kms: str
    region: str
    account_id: str
    database: str | None = None


@dataclass
class DataFolder:
    """The folder of a server's own state, locked while a server runs.

    Args:
        path: The folder; created with mode 0700.
    """

    path: Path

    def __post_init__(self) -> None:
        self._lock: int | None = None

    def open(self) -> None:
        """Create the folder and take its lock for this process's life.

        Raises:
            ServerRunningError: Another process has it.
            StateError: The folder cannot be created or written.
        """
        os.umask(PRIVATE_UMASK)
        try:
            make_folder(self.path)
            self._lock = os.open(self.path / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET_FILE_MODE)
        except OSError as error:
            raise StateError(f"Cannot use the data folder {self.path}: {error.strerror}.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServerRunningError(f"Another edgepack server uses the data folder {self.path}.") from error

    def write_endpoints(self, endpoints: Endpoints) -> None:
        """Remember where the server is reachable."""
        write_file(self.path / ENDPOINTS_FILE, msgspec.json.encode(endpoints), mode=SECRET_FILE_MODE)

    def read_endpoints(self) -> Endpoints:
        """Where the server is, or last was, reachable.

        Raises:
            NoServerError: None was ever started with this folder.
            StateError: The file is damaged.
        """
        path = self.path / ENDPOINTS_FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=Endpoints)
        except FileNotFoundError as error:
            raise NoServerError(f"No server has been started with the data folder {self.path}.") from error
        except (OSError, msgspec.DecodeError) as error:
            raise StateError(f"Cannot read {path}: {error}.") from error

    def known_endpoints(self) -> Endpoints | None:
        """The same, or None if no server was ever started with this folder.

        Raises:
            StateError: The file is damaged.
        """
        try:
            return self.read_endpoints()
        except NoServerError:
            return None


@contextmanager
def existing_database(settings: Settings) -> Iterator["Database"]:
    """The database of the settings, else of the server that was started with the data folder; it is never made.

    Raises:
        NoServerError: There is none.
    """
    from edgepack.database.engine import Database

    server = DataFolder(settings.data_folder).known_endpoints()
    database = Database(settings.database or (server and server.database) or settings.database_url)
    try:
        if database.is_sqlite and not Path(str(database.url.database)).is_file():  # which opening it would make
            raise NoServerError(
                f"There is no database at {database.url.database}.",
                advice="Name the server's data folder with --data, or its database with --database.",
            )
        yield database
    finally:
        database.close()


def open_store(settings: Settings, database: "Database") -> "ObjectStore":
    """The object store that jobs read and write: the one in the settings, else that of the data folder's server.

    Raises:
        SettingsError: The endpoint in the settings has no access key.
        StateError: No server has been started with the data folder, the database has another schema than this
            version's, or the store cannot be reached.
    """
    from edgepack.database.revision import require_current
    from edgepack.objects.probe import require_reachable
    from edgepack.objects.store import ObjectStore

    server = DataFolder(settings.data_folder).read_endpoints() if settings.s3_endpoint is None else None
    require_current(database)
    endpoint, (access_key_id, secret) = (
        settings.own_store() if server is None else _store_of(server, settings, database)
    )
    require_reachable(endpoint)
    store = ObjectStore(endpoint=endpoint, region=settings.region, access_key=access_key_id, secret_key=secret)
    store.require_known()
    return store


def _store_of(server: Endpoints, settings: Settings, database: "Database") -> tuple[str, tuple[str, str]]:
    from edgepack.keys.sealing import SecretBox
    from edgepack.service.credentials import first_key

    secrets = SecretBox.open(settings.data_folder)
    return server.s3, first_key(database, secrets, account_id=server.account_id)
