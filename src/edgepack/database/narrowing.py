"""Filters of which an index can tell at once that they leave few rows: windows of time, and parts of names.

Parts of names are found by their trigrams: in an FTS5 table beside the jobs' table on SQLite, in a GIN index on
PostgreSQL, where it has the extension `pg_trgm`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

Window = tuple[int | None, int | None]
"""What a value is strictly greater than and strictly less than; None for no bound."""

TRIGRAM = 3
"""Characters that a part of a name must have to be found by its trigrams."""

NAMES_SUFFIX = "_names"
"""Ends the name of the FTS5 table with the names of a table's rows."""

_HAS_TRIGRAMS = "edgepack_has_trigrams"


class _Position(sa.sql.functions.GenericFunction[int]):
    """Where a string first occurs in another, 0 for nowhere; minds the case on both databases (LIKE does not)."""

    type = sa.Integer()
    inherit_cache = True
    name = "strpos"


@compiles(_Position, "sqlite")
def _instr(element: _Position, compiler: SQLCompiler, **kw: Any) -> str:
    return f"instr{compiler.process(element.clause_expr, **kw)}"


def contains(column: sa.ColumnElement[str], part: str) -> sa.ColumnElement[bool]:
    """A condition: `column` contains `part`, upper and lower case told apart as in the names themselves."""
    return _Position(column, part) > 0


def within(column: sa.ColumnElement[Any], window: Window) -> list[sa.ColumnElement[bool]]:
    """The conditions that a window has for a column."""
    after, before = window
    return [
        *([] if after is None else [column > after]),
        *([] if before is None else [column < before]),
    ]


def among(connection: Connection, column: sa.ColumnElement[int], ids: Sequence[int]) -> sa.ColumnElement[bool]:
    """A condition: `column` is one of the ids; one parameter however many there are."""
    if connection.dialect.name == "sqlite":
        listed = sa.func.json_each(sa.bindparam(None, json.dumps(list(ids)), type_=sa.String)).table_valued("value")
        return column.in_(sa.select(listed.c.value))
    return column == sa.any_(sa.bindparam(None, list(ids), type_=ARRAY(sa.BigInteger)))


def narrowings(
    connection: Connection,
    table: sa.Table,
    account_id: str,
    *,
    windows: Mapping[str, Window],
    texts: Mapping[str, str],
) -> Iterator[sa.Select[int]]:
    """Queries for ids, each of all rows that one of the filters leaves, and perhaps of more.

    Args:
        connection: A connection.
        table: The jobs' table.
        account_id: Whose jobs.
        windows: By column, what its value lies in.
        texts: By column, what its value contains.
    """
    ids = sa.select(table.c.id).where(table.c.account_id == account_id)
    for name, part in texts.items():
        if len(part) >= TRIGRAM:
            yield from _by_trigrams(connection, table, ids, name, part)
    for name, window in windows.items():
        yield ids.where(*within(table.c[name], window))


def _by_trigrams(
    connection: Connection, table: sa.Table, ids: sa.Select[int], name: str, part: str
) -> Iterator[sa.Select[int]]:
    # The part has letters, digits and hyphens only: neither GLOB nor LIKE takes any of them for anything else.
    if connection.dialect.name == "sqlite":
        names = sa.table(f"{table.name}{NAMES_SUFFIX}", sa.column("rowid", sa.Integer), sa.column(name, sa.String))
        yield sa.select(names.c.rowid).where(names.c[name].op("GLOB")(f"*{part}*"))
    elif _has_trigrams(connection):
        yield ids.where(table.c[name].like(f"%{part}%"))


def _has_trigrams(connection: Connection) -> bool:
    """Whether PostgreSQL has the index; asked once per connection."""
    if _HAS_TRIGRAMS not in connection.info:
        extension = sa.text("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        connection.info[_HAS_TRIGRAMS] = connection.execute(extension).first() is not None
    return bool(connection.info[_HAS_TRIGRAMS])
