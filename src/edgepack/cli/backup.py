"""`edgepack backup`: everything that a server needs to go on elsewhere, in one file."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from edgepack import __version__
from edgepack.cli import backup_format as form
from edgepack.cli.backup_format import Inventory
from edgepack.cli.leaving import unwind_on_signals
from edgepack.cli.options import DATA, read_settings
from edgepack.cli.state import DataFolder, Endpoints, NoServerError, ServerRunningError, existing_database
from edgepack.cli.streams import (
    PIPE,
    FileAccessError,
    files,
    package_target,
    path_shown,
    replacing,
    scratch,
    standard_output,
)
from edgepack.cli.terminal import note, reporting, telling
from edgepack.durable import SECRET_FILE_MODE
from edgepack.keys.folder import KEYS_FOLDER
from edgepack.settings import Settings

if TYPE_CHECKING:
    from edgepack.database.engine import Database

RUNNING_ADVICE = (
    "Its store's files change while it runs: stop it, back up, and start it again. Or leave the objects out with "
    "--without-objects, and save them by a snapshot of the file system."
)
WARNING = "it contains the private keys in plain text: whoever has it can sign packages; encrypt it before it travels"


@dataclass
class _Plan:
    """What goes into a backup, in this order, and what its inventory will say of it."""

    settings: Settings
    endpoints: Endpoints | None
    database: Literal["sqlite", "postgresql", "left out"] = "left out"
    schema: str | None = None
    objects: Literal["embedded", "external", "left out", "none"] = "none"
    sources: list[tuple[str, FileIO | Path]] = field(default_factory=list)

    @property
    def objects_at(self) -> str | None:
        return self.settings.s3_endpoint or (self.endpoints.s3 if self.endpoints else None)

    def inventory(self, entries: dict[str, form.FileEntry]) -> Inventory:
        return Inventory(
            format=form.FORMAT,
            edgepack=__version__,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            database=self.database,
            schema=self.schema,
            objects=self.objects,
            objects_at=self.objects_at if self.objects == "external" else None,
            region=self.endpoints.region if self.endpoints else None,
            account_id=self.endpoints.account_id if self.endpoints else None,
            files=entries,
        )


@click.command("backup")
@DATA
@click.option("--database", metavar="URL", help="The server's, where it is not SQLite in the data folder.")
@click.option("--out", required=True, metavar="FILE.tar", help="The file to write; - for standard output.")
@click.option("--without-database", is_flag=True, help="Leave the database to its own means of backup.")
@click.option("--without-objects", is_flag=True, help="Leave out the embedded store; the server may run meanwhile.")
@click.option("--json", "as_json", is_flag=True, help="Print what is in it as JSON.")
def backup_command(  # noqa: PLR0913 - keyword-only
    *, data: str | None, database: str | None, out: str, without_database: bool, without_objects: bool, as_json: bool
) -> None:
    """Save jobs, keys and the embedded store's objects to one file, from which `edgepack restore` makes a server.

    A server with an embedded store must be stopped meanwhile; any other one may run. The file contains the private
    keys. What lies on an S3 of your own is not in it.
    """
    if as_json and out == PIPE:
        raise click.UsageError("--json and --out - both take standard output.")
    unwind_on_signals()
    settings, target = read_settings({"data": data, "database": database}), package_target(out, PIPE)
    with ExitStack() as stack:
        plan = _planned(settings, stack, database=not without_database, objects=not without_objects)
        inventory = _written(plan, target)
    _tell(inventory, out, None if target is None else target.stat().st_size, as_json=as_json)


def _planned(settings: Settings, stack: ExitStack, *, database: bool, objects: bool) -> _Plan:
    folder = settings.data_folder
    if not (folder / KEYS_FOLDER).is_dir():
        raise NoServerError(f"There are no keys in {path_shown(folder)}: no server has been started with it.")
    plan = _Plan(settings, DataFolder(folder).known_endpoints())
    has_store = settings.s3_endpoint is None and (folder / form.STORE_FOLDER).is_dir()
    if has_store and objects:
        _hold_still(folder, stack)
    if database:
        _add_database(plan, stack)
    # Temporary files' names begin with a dot, and so do the folders that a mounted secret's links lead to.
    plan.sources += [(name, path) for name, path in _below(folder, KEYS_FOLDER) if "/." not in name]
    if has_store:
        plan.objects = "embedded" if objects else "left out"
        plan.sources += _below(folder, form.STORE_FOLDER) if objects else []
    elif plan.objects_at is not None:
        plan.objects = "external"
    return plan


def _hold_still(folder: Path, stack: ExitStack) -> None:
    """See that neither server nor store runs, and that none starts before the end."""
    from edgepack.objects.embedded import LOCK_SECONDS
    from edgepack.objects.weed_process import lock_folder

    try:
        DataFolder(folder).open()
    except ServerRunningError as error:
        raise ServerRunningError(f"A server runs with the data folder {folder}.", advice=RUNNING_ADVICE) from error
    stack.callback(os.close, lock_folder(folder / "store", patience=LOCK_SECONDS))


def _add_database(plan: _Plan, stack: ExitStack) -> None:
    from edgepack.database import revision, snapshots

    database = stack.enter_context(existing_database(plan.settings))
    with database.read() as connection:
        plan.schema = revision.revision_of(connection)
    if database.is_sqlite:
        plan.database = "sqlite"
        plan.sources.append((form.SQLITE_FILE, _sqlite_copy(database, plan.settings.data_folder, stack)))
        return
    plan.database = "postgresql"
    dump = stack.enter_context(scratch(plan.settings.data_folder))
    with reporting("Dumping the database", None) as report:
        snapshots.dump_postgres(database.url, dump, report)
    plan.sources.append((form.POSTGRES_DUMP, dump))


def _sqlite_copy(database: "Database", folder: Path, stack: ExitStack) -> FileIO:
    """A copy that has no name any more: nothing is left of it, however this process ends."""
    from edgepack.database.snapshots import copy_sqlite

    with tempfile.TemporaryDirectory(prefix=".backup-", dir=folder) as place:
        copy = Path(place) / form.SQLITE_FILE
        copy_sqlite(Path(str(database.url.database)).absolute(), copy)
        return stack.enter_context(FileIO(copy))


def _below(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """The files below a folder of the data folder, with their names in it."""
    for parent, folders, names in os.walk(folder / name):
        folders.sort()
        for path in (Path(parent) / each for each in sorted(names)):
            if not path.is_file():
                raise FileAccessError(f"{path_shown(path)} is no regular file, and cannot be saved.")
            yield path.relative_to(folder).as_posix(), path


def _written(plan: _Plan, target: Path | None) -> Inventory:
    from edgepack.cli.backup_writing import BackupWriter

    total = sum(_size(source) for _, source in plan.sources)
    output = replacing(target, mode=SECRET_FILE_MODE) if target else standard_output()
    with output as file, reporting("Backing up", total) as report:
        writer = BackupWriter(file, report)
        for name, source in plan.sources:
            with _readable(source) as opened:
                opened.seek(0)
                writer.add(name, opened, _size(opened))
        inventory = plan.inventory(writer.entries)
        writer.finish(inventory)
    return inventory


def _size(source: FileIO | Path) -> int:
    return source.stat().st_size if isinstance(source, Path) else os.fstat(source.fileno()).st_size


@contextmanager
def _readable(source: FileIO | Path) -> Iterator[FileIO]:
    if isinstance(source, FileIO):
        yield source
        return
    try:
        file = FileIO(source)
    except OSError as error:
        raise FileAccessError(f"{path_shown(source)} cannot be read: {error.strerror}.") from error
    with file:
        yield file


def _tell(inventory: Inventory, out: str, size: int | None, *, as_json: bool) -> None:
    shown = "standard output" if size is None else path_shown(out)
    of_what = f"{files(len(inventory.files))}; database: {inventory.database}; objects: {inventory.objects}"
    if inventory.objects == "external":
        of_what += f" (on {inventory.objects_at}: save them by that store's own means, after this)"
    summary = f"wrote {shown}: {of_what}"
    if size is None:
        note(summary)
    else:
        with telling():
            found = msgspec.to_builtins(inventory) | {"backup": out, "size": size}
            click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() if as_json else summary)
    note(WARNING)
