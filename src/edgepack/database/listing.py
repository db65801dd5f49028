"""Pages of a list by keyset: a page starts after the last row of the one before, so added rows move nothing."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


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


def page(  # noqa: PLR0913 - what defines a page, keyword-only
    connection: Connection,
    table: sa.Table,
    *,
    where: Sequence[sa.ColumnElement[bool]],
    order: str,
    descending: bool,
    after: tuple[Any, int] | None,
    limit: int,
) -> list[RowMapping]:
    """Read one page.

    Args:
        connection: A connection.
        table: The table to list; it has an `id`.
        where: Conditions that all hold.
        order: The column to sort by; rows equal in it are sorted by `id`, in the same direction.
        descending: Whether the largest come first.
        after: (value of `order`, id) of the last row of the page before; None for the first page.
        limit: Rows at most.

    Returns:
        The rows, at most `limit`.
    """
    column, row_id = table.c[order], table.c.id
    conditions = list(where)
    if after is not None:
        conditions.append(_beyond(column, row_id, after, descending=descending))
    direction = sa.desc if descending else sa.asc
    query = sa.select(table).where(*conditions).order_by(direction(column), direction(row_id)).limit(limit)
    return list(connection.execute(query).mappings())


def _beyond(
    column: sa.ColumnElement[Any], row_id: sa.ColumnElement[int], after: tuple[Any, int], *, descending: bool
) -> sa.ColumnElement[bool]:
    value, last_id = after
    if descending:
        return sa.or_(column < value, sa.and_(column == value, row_id < last_id))
    return sa.or_(column > value, sa.and_(column == value, row_id > last_id))
