"""Which schema a database has, and which one this version of edgepack works with."""

from importlib import resources
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.database.engine import Database
from edgepack.database.schema import VERSION_TABLE
from edgepack.errors import StateError

_MIGRATIONS = resources.files("edgepack.database") / "migrations" / "versions"

REVISIONS: Final = tuple(
    sorted(file.name.partition("_")[0] for file in _MIGRATIONS.iterdir() if file.name[0].isdigit())
)
"""Those of the migrations, in order: read from their files' names, since a worker needs nothing else of Alembic."""

REVISION: Final = REVISIONS[-1]
"""What the declared schema is."""

_VERSION = sa.table(VERSION_TABLE, sa.column("version_num"))


class SchemaError(StateError):
    """The database has another schema than this version of edgepack works with. Nothing was changed."""

    code = "SchemaMismatch"


def revision_of(connection: Connection) -> str | None:
    """The database's revision; None if it has never been migrated."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar()


def refuse_newer(connection: Connection) -> str | None:
    """The database's revision; one that a newer edgepack has migrated is left alone, as there is no way back.

    Raises:
        SchemaError: It has been.
    """
    found = revision_of(connection)
    if found is not None and found > REVISION:
        raise SchemaError(
            f"The database has been upgraded by a newer edgepack: its schema is {found}, this one knows {REVISION}.",
            advice="Upgrade this edgepack to the version of the others, or name another database.",
        )
    return found


def require_current(database: Database) -> None:
    """Go on only with a database that has this version's schema.

    Raises:
        SchemaError: It has an older one, a newer one or none.
        DatabaseUnavailableError: It cannot be reached.
    """
    with database.read() as connection:
        found = refuse_newer(connection)
    if found != REVISION:
        has = "has no tables of edgepack's" if found is None else f"has the schema {found} of an older edgepack"
        raise SchemaError(
            f"The database {has}; this one needs {REVISION}.",
            advice="Start `edgepack serve` of this version with it once: it brings the database up to date. Then start "
            "this again.",
        )
