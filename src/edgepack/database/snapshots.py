"""Consistent copies of the database while it is in use, and its way back: SQLite's own backup, PostgreSQL's pg_dump."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from io import FileIO
from pathlib import Path

import sqlalchemy as sa

from edgepack.database.engine import Database, DatabaseUnavailableError, unavailable_because
from edgepack.errors import StateError
from edgepack.tether import tied

DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
"""Where Debian keeps the programs of each version. The one on its PATH chooses by the clusters of this machine, while
a newer pg_dump reads older servers and an older one refuses newer servers."""

LOOK_SECONDS = 0.2
"""How often the growing dump is looked at."""

_TABLES = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""
"""Everything but the system's own and what extensions brought along."""


class PostgresProgramError(StateError):
    """PostgreSQL's own program is missing, or failed. The database is as it was."""

    code = "PostgresProgram"
    advice = "Save and restore the database by PostgreSQL's own means, and leave it out here with --without-database."


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database as it is at one moment, whoever writes to it meanwhile.

    In one step: where others commit between two, SQLite begins anew. Writers do not wait, as the source is in WAL mode.

    Args:
        source: The database's file.
        target: A new file, complete in itself.

    Raises:
        DatabaseUnavailableError: The source cannot be read, is damaged, or there is no room for the copy.
    """
    try:
        with closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True)) as opened:
            target.touch(mode=0o600, exist_ok=False)
            with closing(sqlite3.connect(target)) as copy:
                opened.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")
    except (sqlite3.Error, OSError) as error:
        raise unavailable_because(error) from error
    require_sound(target, called=source)


def require_sound(file: Path, *, called: Path | None = None) -> None:
    """See that a file is a SQLite database in which nothing is broken; it is not written to.

    Args:
        file: The file.
        called: What it is a copy of, for the message.

    Raises:
        DatabaseUnavailableError: It is none, or something is broken.
    """
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)) as opened:
            (verdict,) = opened.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        verdict = error
    if verdict != "ok":
        raise DatabaseUnavailableError(
            f"The database {called or file} is damaged: {verdict}.", advice="Restore the last good backup."
        )


def dump_postgres(url: sa.URL, target: FileIO, report: Callable[[int], None]) -> None:
    """Write a PostgreSQL database, as it is at one moment, in pg_dump's custom format.

    Args:
        url: The database.
        target: An empty regular file.
        report: Told the bytes written so far.

    Raises:
        PostgresProgramError: There is no pg_dump, or it failed.
    """
    arguments = ["--format=custom", "--no-password", f"--dbname={_without_password(url)}"]
    _run("pg_dump", arguments, url, target, lambda: report(os.fstat(target.fileno()).st_size))


def restore_postgres(url: sa.URL, dump: Path) -> None:
    """Restore what `dump_postgres` wrote into an empty database: all of it or nothing.

    Objects belong to whoever restores them; comments on extensions are left out, as only a superuser may make those.

    Raises:
        PostgresProgramError: There is no pg_restore, or it failed.
    """
    arguments = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-comments"]
    arguments += ["--no-password", f"--dbname={_without_password(url)}", str(dump)]
    _run("pg_restore", arguments, url, None, lambda: None)


def require_empty(database: Database) -> None:
    """See that nothing is in a PostgreSQL database.

    Raises:
        DatabaseUnavailableError: It cannot be reached.
        StateError: There is something in it.
    """
    with database.read() as connection:
        count = connection.exec_driver_sql(_TABLES.replace("%", "%%")).scalar_one()
    if count:
        raise StateError(
            f"The database {database.url.database!r} is not empty: it has {count} tables, views or sequences.",
            advice="Make a new one (`createdb`), and name it with --database.",
        )


def _run(program: str, arguments: Sequence[str], url: sa.URL, target: FileIO | None, look: Callable[[], None]) -> None:
    output = subprocess.DEVNULL if target is None else target
    command = tied([str(_found(program)), *arguments])
    with subprocess.Popen(  # noqa: S603 - PostgreSQL's program, and no shell is involved
        command, env=_environment(url, os.environ), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        try:
            os.set_blocking(process.stderr.fileno(), False)
            said = b""
            while process.poll() is None:
                time.sleep(LOOK_SECONDS)
                said += process.stderr.read() or b""
                look()
            said += process.stderr.read() or b""
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise PostgresProgramError(f"{program} failed: {' '.join(said.decode(errors='replace').split())}")


def _found(program: str) -> Path:
    installed = sorted(DEBIAN_POSTGRES.glob(f"*/bin/{program}"), key=lambda path: _number(path.parts[-3]))
    if installed:
        return installed[-1]
    if (found := shutil.which(program)) is None:
        raise PostgresProgramError(f"There is no {program} on this machine (Debian: postgresql-client).")
    return Path(found).absolute()


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0


def _without_password(url: sa.URL) -> str:
    # Command lines are public.
    query = {name: value for name, value in url.query.items() if name != "password"}
    bare = sa.URL.create("postgresql", url.username, None, url.host, url.port, url.database, query)
    return bare.render_as_string(hide_password=False)


def _environment(url: sa.URL, environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith("EDGEPACK_")}
    password = url.query.get("password") if url.password is None else url.password
    return kept if password is None else kept | {"PGPASSWORD": str(password)}
