"""One database behind two drivers: SQLite (WAL) in the data folder, PostgreSQL at scale."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from edgepack.errors import StateError

BUSY_TIMEOUT_MILLISECONDS = 30_000
"""How long a SQLite writer waits for another one: the same as the job engine's on the same file."""

IDLE_TRANSACTION_MILLISECONDS = 5_000
"""How long a PostgreSQL session may rest inside a transaction before the server ends it: no transaction here rests at
all, but a worker may be frozen in the middle of one, and its locks would keep everybody from taking over its job. Less
than the silence after which it is taken for dead."""

CONNECTIONS_MAX = 16
"""Connections that a process opens to PostgreSQL at most: what its handler threads, or a worker's, use at once."""

CONNECTIONS_KEPT, WORKER_CONNECTIONS_KEPT = 8, 3
"""Of these, how many stay open. A hundred idle workers are to be bearable for a server; a busy one opens further ones
for the moments in which it needs them."""

LOST_AFTER: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Seconds (the last one: milliseconds) after which a PostgreSQL server is given up that has gone without a word, as one
does whose machine lost its power or its network; by itself TCP waits for it for hours. What the database's URL says of
these holds. Source: PostgreSQL's documentation, "Parameter Key Words" of libpq."""


class DatabaseUnavailableError(StateError):
    """The database cannot be reached or opened. Nothing was changed."""

    code = "ServiceUnavailable"
    advice = "Check the --database URL, that the server runs, and that this machine may connect to it."


class Database:
    """Connections to the metadata: reads that never open a transaction, writes that always own one.

    Args:
        url: A SQLAlchemy URL; `postgresql://` is driven by psycopg 3.
        kept: Connections that stay open, to PostgreSQL.

    Raises:
        DatabaseUnavailableError: The URL names no supported database.
    """

    def __init__(self, url: str, *, kept: int = CONNECTIONS_KEPT) -> None:
        self.url = _driver_url(url)
        self.engine = _create_engine(self.url, kept)
        # The driver of SQLite is in that mode already; to ask for it would have it put back to another one afterwards.
        autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._reads = self.engine if self.is_sqlite else autocommit

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database: its reads are short enough for the event loop."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for single statements; each sees the latest committed state.

        Raises:
            DatabaseUnavailableError: The database cannot be reached.
        """
        with unavailable(), self._reads.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits when the block ends and rolls back when it raises.

        On SQLite it takes the write lock at once (BEGIN IMMEDIATE): a transaction that began as a reader could
        otherwise fail half-way, when another writer came first.

        Raises:
            DatabaseUnavailableError: The database cannot be reached.
        """
        with unavailable(), self.engine.begin() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn the driver's "cannot reach, cannot open, is locked" into this room's error.

    Raises:
        DatabaseUnavailableError: The block met one of those.
    """
    try:
        yield
    except (InterfaceError, OperationalError, PoolTimeoutError, sqlite3.OperationalError) as error:
        raise unavailable_because(error) from error
    except DBAPIError as error:
        if not (error.connection_invalidated or _is_no_statement_s_fault(error)):
            raise
        raise unavailable_because(error) from error


def _is_no_statement_s_fault(error: DBAPIError) -> bool:
    """A file that is no database, or an option of the URL that the driver does not know."""
    is_damaged = type(error) is DatabaseError
    return is_damaged or (isinstance(error, ProgrammingError) and getattr(error.orig, "sqlstate", "") is None)


def unavailable_because(error: Exception) -> DatabaseUnavailableError:
    """This room's error for one of the driver's, or of SQLAlchemy's around it."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return DatabaseUnavailableError(f"The database failed: {cause}.")


def _driver_url(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise DatabaseUnavailableError("The database setting is not a URL.") from error
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise DatabaseUnavailableError(
            f"The database {parsed.drivername!r} is not supported.", advice="Use sqlite:///FILE or postgresql://…."
        )
    if parsed.drivername == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise DatabaseUnavailableError("The database setting names no file.", advice="Use sqlite:////FILE.")
    return parsed


def _create_engine(url: sa.URL, kept: int) -> Engine:
    if url.get_backend_name() != "sqlite":
        engine = sa.create_engine(
            url,
            pool_size=kept,
            max_overflow=CONNECTIONS_MAX - kept,
            pool_pre_ping=True,
            connect_args={name: value for name, value in LOST_AFTER.items() if name not in url.query},
        )
        sa.event.listen(engine, "connect", _prepare_postgres)
        return engine
    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_postgres(connection: DBAPIConnection, _record: Any) -> None:
    connection.cursor().execute(f"SET idle_in_transaction_session_timeout = {IDLE_TRANSACTION_MILLISECONDS}")
    connection.commit()  # or the pool would roll it back


def _prepare_sqlite(connection: DBAPIConnection, _record: Any) -> None:
    # The driver must not open transactions of its own: write() says BEGIN IMMEDIATE, read() says nothing.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MILLISECONDS}",
        "journal_mode=WAL",
        # FULL, not NORMAL: in WAL mode NORMAL may lose the last commits at a power cut, and Create has answered 200.
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.cursor().execute(f"PRAGMA {pragma}")
