"""Bring a database to the schema this version declares."""

from importlib import resources
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from edgepack.database.engine import Database
from edgepack.database.schema import VERSION_TABLE


def upgrade(database: Database) -> None:
    """Create or migrate edgepack's tables and the job engine's, forward only; safe to repeat and to race.

    Raises:
        DatabaseUnavailableError: The database cannot be reached.
    """
    with database.write() as connection:
        if not database.is_sqlite:
            # One migrator at a time; the lock goes with the transaction. SQLite's write lock does the same.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7310867)")
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def needed_version() -> str:
    """The version of the schema that this code needs: that of its last migration."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None
    return head


def present_version(connection: Connection) -> str | None:
    """The version of the schema that the database has; None for an empty database."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(
        sa.select(sa.column("version_num", sa.String)).select_from(sa.table(VERSION_TABLE))
    ).scalar()


def alembic_config() -> Config:
    """Alembic's configuration: the scripts that come with this package, no ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(str(resources.files("edgepack.database"))) / "migrations"))
    return config
