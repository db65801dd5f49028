"""Pages of a list of jobs, each at the same cost whatever the number of jobs.

A page starts after the last row that was looked at for the one before, so added rows move nothing. Where a filter
leaves few rows (`narrowing.py`), those are sorted; where it leaves some more, if a short walk has not found a page of
them. Otherwise the rows are walked in the list's order, along an index, and the filters applied to each; `EXAMINED_MAX`
rows for a page at most, so that a page may be short, or empty, and others still follow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from edgepack.database.narrowing import Window, among, contains, narrowings, within

EXAMINED_MAX = 1_000
"""Rows that are looked at for one page: some milliseconds."""

FEW = 400
"""Rows that are sorted for one page rather than walked to."""

MANY = 2_000
"""Rows that are sorted where a walk has not filled the page: some ten milliseconds."""

CHUNK = 250
"""Rows that are looked at at once, where a filter is applied to each."""

Key = tuple[Any, int]
"""Where a row stands in a list: its value in the column that the list is sorted by, and its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which rows, in which order.

    Attributes:
        table: The table; it has the columns `id`, `account_id` and `status`.
        account_id: Whose rows.
        order: The column to sort by; rows equal in it are sorted by `id`, in the same direction.
        descending: Whether the largest come first.
        status: The status that they have, or None.
        windows: By column, what its value lies in.
        texts: By column, what its value contains; upper and lower case are told apart, as in the names themselves.
    """

    table: sa.Table
    account_id: str
    order: str
    descending: bool
    status: str | None = None
    windows: Mapping[str, Window] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def column(self) -> sa.ColumnElement[Any]:
        """The column to sort by."""
        return self.table.c[self.order]

    def along_the_index(self) -> list[sa.ColumnElement[bool]]:
        """The conditions that an index in the list's order keeps."""
        row = self.table.c
        conditions = [row.account_id == self.account_id]
        if self.status is not None:
            conditions.append(row.status == self.status)
        return [*conditions, *within(self.column, self.windows.get(self.order, (None, None)))]

    def on_each_row(self) -> list[sa.ColumnElement[bool]]:
        """The other ones."""
        row = self.table.c
        windows = ((row[name], window) for name, window in self.windows.items() if name != self.order)
        return [
            *(condition for column, window in windows for condition in within(column, window)),
            *(contains(row[name], text) for name, text in self.texts.items()),
        ]

    def sorted_by(self) -> tuple[sa.ColumnElement[Any], ...]:
        """For ORDER BY."""
        direction = sa.desc if self.descending else sa.asc
        return direction(self.column), direction(self.table.c.id)


class Page(NamedTuple):
    """A part of a list.

    Attributes:
        rows: The rows.
        ends_at: Where to go on; None at the list's end.
    """

    rows: Sequence[RowMapping]
    ends_at: Key | None


def page(connection: Connection, listing: Listing, *, after: Key | None, limit: int) -> Page:
    """Read one page.

    Args:
        connection: A connection.
        listing: The list.
        after: `ends_at` of the page before; None for the first one.
        limit: Rows at most.
    """
    filters = list(
        narrowings(connection, listing.table, listing.account_id, windows=listing.windows, texts=listing.texts)
    )
    found = _sorted_page(connection, listing, filters, after, limit, at_most=FEW)
    if found is None and filters:
        walked = _walked_page(connection, listing, after, limit, examined_max=CHUNK)
        if walked.ends_at is None or len(walked.rows) == limit:
            return walked
        if len(walked.rows) * EXAMINED_MAX < limit * CHUNK:  # a longer walk would not find a page of them either
            found = _sorted_page(connection, listing, filters, after, limit, at_most=MANY)
    return found or _walked_page(connection, listing, after, limit, examined_max=EXAMINED_MAX)


def _sorted_page(  # noqa: PLR0913 - the last is keyword-only
    connection: Connection,
    listing: Listing,
    filters: Sequence[sa.Select[int]],
    after: Key | None,
    limit: int,
    *,
    at_most: int,
) -> Page | None:
    """The page by sorting what the first filter leaves that does not leave too many rows; None if each does."""
    for query in filters:
        ids = connection.execute(query.limit(at_most + 1)).scalars().all()
        if len(ids) <= at_most:
            return _page_of(connection, listing, ids, after, limit)
    return None


def _page_of(connection: Connection, listing: Listing, ids: Sequence[int], after: Key | None, limit: int) -> Page:
    conditions = [among(connection, listing.table.c.id, ids), *listing.along_the_index(), *listing.on_each_row()]
    if after is not None:
        conditions.append(sa.or_(*(sa.and_(*part) for part in _beyond(listing, after))))
    query = sa.select(listing.table).where(*conditions).order_by(*listing.sorted_by()).limit(limit + 1)
    rows = connection.execute(query).mappings().all()
    return Page(rows[:limit], _key(listing, rows[limit - 1]) if len(rows) > limit else None)


def _walked_page(connection: Connection, listing: Listing, after: Key | None, limit: int, *, examined_max: int) -> Page:
    found: list[Key] = []
    chunk, position, left = CHUNK if listing.on_each_row() else limit + 1, after, examined_max
    while left and len(found) <= limit:
        size = min(chunk, left)
        examined = _next(connection, listing, position, size)
        found += [(value, row_id) for value, row_id, matches in examined if matches]
        if len(examined) < size:
            position = None
            break
        position, left = (examined[-1][0], examined[-1][1]), left - size
    ends_at = found[limit - 1] if len(found) > limit else position
    return Page(_rows(connection, listing, [row_id for _, row_id in found[:limit]]), ends_at)


def _next(connection: Connection, listing: Listing, after: Key | None, size: int) -> list[tuple[Any, int, bool]]:
    """The next rows in the list's order: value, id, and whether the row is in the list."""
    matches = sa.and_(sa.true(), *listing.on_each_row()).label("matches")
    query = sa.select(listing.column, listing.table.c.id, matches).where(*listing.along_the_index())
    query = query.order_by(*listing.sorted_by())
    rows: list[tuple[Any, int, bool]] = []
    # One query per part: of an OR, SQLite and PostgreSQL would look at every row that is equal in the sorted column.
    for part in [()] if after is None else _beyond(listing, after):
        if len(rows) < size:
            rows += [tuple(row) for row in connection.execute(query.where(*part).limit(size - len(rows)))]
    return rows


def _rows(connection: Connection, listing: Listing, ids: Sequence[int]) -> Sequence[RowMapping]:
    if not ids:
        return []
    query = sa.select(listing.table).where(listing.table.c.id.in_(ids)).order_by(*listing.sorted_by())
    return connection.execute(query).mappings().all()


def _beyond(listing: Listing, after: Key) -> tuple[tuple[sa.ColumnElement[bool], ...], ...]:
    """What follows a key: first the rows that are equal in the sorted column, then the others."""
    (value, last_id), column, row_id = after, listing.column, listing.table.c.id
    if listing.descending:
        return (column == value, row_id < last_id), (column < value,)
    return (column == value, row_id > last_id), (column > value,)


def _key(listing: Listing, row: RowMapping) -> Key:
    return row[listing.order], row["id"]
