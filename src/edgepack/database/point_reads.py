"""Single-row reads at the driver's speed: what Describe does, thousands of times a second.

The statement is built by SQLAlchemy and compiled once; on SQLite it then runs on a driver connection of its own.
Executing it through SQLAlchemy costs several times the read itself (docs/performance.md), and a thread hop more.

On SQLite the reads of one turn of the event loop share a transaction, since beginning one takes two file locks, which
is half of such a read. Nobody reads anything older than the request: a turn's requests arrived before its first read,
and the transaction ends before the next turn's requests are looked at.
"""

import asyncio
import sqlite3
from typing import Any

import sqlalchemy as sa

from edgepack.database.engine import Database, unavailable_because

MAPPED_BYTES = 1 << 30
"""As much of the file as is read through a mapping, which saves a system call and a copy for most pages."""


class PointRead:
    """One prepared query for one value of one row.

    On SQLite it must be called on one event loop only. On PostgreSQL it takes a pooled connection and may be called
    from any thread.

    Args:
        database: Where to read.
        query: A SELECT of one column whose bind parameters are named.
    """

    def __init__(self, database: Database, query: sa.Select[Any]) -> None:
        self._database = database
        self._query = query
        compiled = query.compile(dialect=database.engine.dialect)
        self._sql = str(compiled)
        self._names = tuple(compiled.positiontup or compiled.params)
        self._is_sqlite = database.is_sqlite
        self._cursor: sqlite3.Cursor | None = None
        self._in_turn = False

    def value(self, *parameters: str) -> Any:
        """The value, or None when there is no such row.

        Args:
            parameters: Values of the query's bind parameters, in the order in which it names them.

        Raises:
            DatabaseUnavailableError: The database failed.
        """
        if not self._is_sqlite:
            with self._database.read() as connection:
                return connection.execute(self._query, dict(zip(self._names, parameters, strict=True))).scalar()
        cursor = self._cursor or self._connected()
        try:
            if not self._in_turn:
                self._begin_turn(cursor)
            row = cursor.execute(self._sql, parameters).fetchone()
        except sqlite3.OperationalError as error:
            raise unavailable_because(error) from error
        return None if row is None else row[0]

    def close(self) -> None:
        """Close the connection, if there is one of its own."""
        if self._cursor is not None:
            self._cursor.connection.close()
            self._cursor = None

    def _begin_turn(self, cursor: sqlite3.Cursor) -> None:
        loop = asyncio.get_running_loop()
        cursor.execute("BEGIN")
        self._in_turn = True
        loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._in_turn = False
        # Some failures of a read end the transaction themselves.
        if self._cursor is not None and self._cursor.connection.in_transaction:
            self._cursor.execute("COMMIT")

    def _connected(self) -> sqlite3.Cursor:
        # SQLAlchemy opens and prepares it (PRAGMAs); detached, so that the pool never hands it to anybody else.
        pooled = self._database.engine.raw_connection()
        driver = pooled.driver_connection
        pooled.detach()
        assert isinstance(driver, sqlite3.Connection)
        driver.execute(f"PRAGMA mmap_size={MAPPED_BYTES}")
        self._cursor = driver.cursor()
        return self._cursor
