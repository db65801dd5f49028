"""`edgepack restore`: a data folder, and a PostgreSQL database, from a backup; complete, or not at all."""

import fcntl
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
import msgspec

from edgepack.cli import backup_format as form
from edgepack.cli.backup_format import BackupError, Inventory
from edgepack.cli.leaving import unwind_on_signals
from edgepack.cli.options import DATA, read_settings
from edgepack.cli.streams import FileAccessError, files, opened, path_shown, size_of
from edgepack.cli.terminal import printable, reporting, telling
from edgepack.durable import SECRET_FOLDER_MODE, sync_folder
from edgepack.errors import StateError
from edgepack.keys.folder import KEYS_FOLDER
from edgepack.settings import DEFAULT_ACCOUNT_ID, DEFAULT_REGION, SettingsError

DATABASE_ADVICE = "Name an empty PostgreSQL database with --database."


class FolderInUseError(StateError):
    """The folder to restore into has something in it. Nothing was changed."""

    code = "FolderInUse"
    advice = "Name a folder that is not there yet with --data, or move this one away."


@click.command("restore")
@click.argument("source", metavar="FILE.tar")
@DATA
@click.option("--database", metavar="URL", help="An empty PostgreSQL database, for a backup that holds one.")
@click.option("--json", "as_json", is_flag=True, help="Print what was in it as JSON.")
def restore_command(*, source: str, data: str | None, database: str | None, as_json: bool) -> None:
    """Make a data folder from what `edgepack backup` wrote; - reads standard input.

    Every digest is checked before anything is put in place. The folder must be empty, or not be there. See that the
    server that was backed up runs no more: both would work on the same jobs.
    """
    from edgepack.cli.backup_reading import BackupReader

    unwind_on_signals()
    settings = read_settings({"data": data, "database": database})
    folder = settings.data_folder.resolve()
    _require_free(folder)
    with opened(source) as file, _staging(folder) as staging:
        restored = staging / "data"
        restored.mkdir(mode=SECRET_FOLDER_MODE)
        with reporting("Restoring", size_of(file)) as report:
            reader = BackupReader(
                file, restored, report=report, first=lambda name: _check_database(name, settings.database)
            )
            inventory = reader.unpack()
        _check_schema(inventory)
        _check_whole(inventory, restored, settings.database)
        _restore_postgres(restored / form.POSTGRES_DUMP, settings.database)
        _put_in_place(restored, folder)
    _tell(inventory, folder, as_json=as_json)


def _require_free(folder: Path) -> None:
    try:
        if any(folder.iterdir()):
            raise FolderInUseError(f"The folder {path_shown(folder)} is not empty.")
    except FileNotFoundError:
        return
    except OSError as error:
        raise FileAccessError(f"{path_shown(folder)}: {error.strerror}.") from error
    if folder.is_mount():
        raise FolderInUseError(
            f"The folder {path_shown(folder)} is where a file system is mounted; it cannot be put in place as a whole.",
            advice="Name a folder inside it with --data, there and for the server.",
        )


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A folder beside the one to be restored, on the same file system; gone at the end.

    It is locked: what a restore that was killed has left, keys among it, is known by that, and removed by the next one.
    """
    prefix = f".{folder.name}.restore-"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f"{prefix}*"):
            _remove_left(left)
        staging = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    except OSError as error:
        raise FileAccessError(f"{path_shown(folder.parent)} cannot be written: {error.strerror}.") from error
    lock = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        os.close(lock)


def _remove_left(left: Path) -> None:
    lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(left)
    except BlockingIOError:
        return
    finally:
        os.close(lock)


def _check_database(first: str, url: str | None) -> None:
    """Compare the kind of database, which is a backup's first file, with what was asked, before the rest is read."""
    if first == form.POSTGRES_DUMP:
        if url is None or not url.startswith("postgres"):
            raise SettingsError("The backup holds a PostgreSQL database.", advice=DATABASE_ADVICE)
        _require_empty(url)
    elif first == form.SQLITE_FILE and url is not None:
        raise SettingsError(
            "The backup holds a SQLite database, which is restored into the data folder.",
            advice="Leave --database out.",
        )


def _require_empty(url: str) -> None:
    from edgepack.database.engine import Database
    from edgepack.database.snapshots import require_empty

    with closing(Database(url)) as database:
        require_empty(database)


def _check_schema(inventory: Inventory) -> None:
    from edgepack.database.revision import REVISIONS

    if inventory.schema is not None and inventory.schema not in REVISIONS:
        raise BackupError(
            f"The backup's database has a schema ({inventory.schema}) that this edgepack does not know.",
            advice=f"Restore it with edgepack {inventory.edgepack}, which made it, or a newer one.",
        )


def _check_whole(inventory: Inventory, restored: Path, url: str | None) -> None:
    """See that a server can be made of it, and that a database that was named is of use."""
    from edgepack.database.snapshots import require_sound
    from edgepack.keys.sealing import SEALING_KEY

    if f"{KEYS_FOLDER}/{SEALING_KEY}" not in inventory.files:
        raise BackupError("The backup holds no keys: no server can be made of it.")
    if url is not None and inventory.database == "left out":
        raise SettingsError(
            "The backup holds no database.",
            advice="Leave --database out, and restore the database by its own means.",
        )
    if (restored / form.SQLITE_FILE).exists():
        require_sound(restored / form.SQLITE_FILE)


def _restore_postgres(dump: Path, url: str | None) -> None:
    if not dump.exists() or url is None:
        return
    from edgepack.database.engine import Database
    from edgepack.database.snapshots import restore_postgres

    with closing(Database(url)) as database:
        restore_postgres(database.url, dump)
    dump.unlink()


def _put_in_place(restored: Path, folder: Path) -> None:
    try:
        sync_folder(restored)
        restored.rename(folder)  # an empty folder gives way
        sync_folder(folder.parent)
    except OSError as error:
        raise FileAccessError(f"{path_shown(folder)} cannot be put in place: {error.strerror}.") from error


def _tell(inventory: Inventory, folder: Path, *, as_json: bool) -> None:
    with telling():
        if as_json:
            found = msgspec.to_builtins(inventory) | {"data": str(folder)}
            click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
            return
        click.echo(
            f"restored {files(len(inventory.files))} of {printable(inventory.made_at)} into {path_shown(folder)}"
        )
        click.echo(f"database: {inventory.database}; objects: {_objects(inventory)}")
        click.echo(f"start it with the settings that it ran with, among them:{_flags(inventory, folder)}")


def _objects(inventory: Inventory) -> str:
    if inventory.objects == "external":
        return f"not in it; they are on {printable(str(inventory.objects_at))}"
    return inventory.objects


def _flags(inventory: Inventory, folder: Path) -> str:
    flags = f" --data {path_shown(folder)}"
    if inventory.region is not None and inventory.region != DEFAULT_REGION:
        flags += f" --region {shlex.quote(printable(inventory.region))}"
    if inventory.account_id is not None and inventory.account_id != DEFAULT_ACCOUNT_ID:
        flags += f" --account-id {shlex.quote(printable(inventory.account_id))}"
    return flags
