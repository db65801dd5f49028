"""Bring a database to the schema this version declares."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import ProgrammingError

from edgepack.database.engine import Database
from edgepack.database.revision import SchemaError, refuse_newer

INSUFFICIENT_PRIVILEGE = "42501"
"""SQLSTATE (PostgreSQL's documentation, appendix A). Since version 15 only its owner may make tables in `public`."""


def upgrade(database: Database) -> None:
    """Create or migrate edgepack's tables, forward only; safe to repeat and to race.

    Raises:
        SchemaError: A newer edgepack has migrated it.
        DatabaseUnavailableError: The database cannot be reached.
    """
    with database.write() as connection, _permitted():
        if not database.is_sqlite:
            # One migrator at a time; the lock goes with the transaction. SQLite's write lock does the same.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7310867)")
        refuse_newer(connection)
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _permitted() -> Iterator[None]:
    try:
        yield
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise
        raise SchemaError(
            f"This role may not make tables in the database: {str(error.orig).strip()}.",
            advice="Make the role the database's owner: CREATE DATABASE … OWNER …, or ALTER DATABASE … OWNER TO ….",
        ) from error


def alembic_config() -> Config:
    """Alembic's configuration: the scripts that come with this package, no ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(str(resources.files("edgepack.database"))) / "migrations"))
    return config
