"""What the two List operations of jobs share: filters to conditions, a page, a token."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from edgepack.contract.shapes import wire_name
from edgepack.contract.validation import detected, fault
from edgepack.database import listing
from edgepack.database.jobs import JobTable
from edgepack.database.records import MICROSECONDS
from edgepack.errors import ValidationError
from edgepack.service.caller import Caller
from edgepack.service.context import Context
from edgepack.service.paging import DEFAULT_PAGE_SIZE, Position, next_token, read_token

Job = TypeVar("Job")

AT_LEAST_ONE = "Member must have value greater than or equal to 1"

TIME_FILTERS: Sequence[tuple[str, str, Callable[[Any, int], Any]]] = (
    ("creation_time_after", "created_at", lambda column, value: column > value),
    ("creation_time_before", "created_at", lambda column, value: column < value),
    ("last_modified_time_after", "modified_at", lambda column, value: column > value),
    ("last_modified_time_before", "modified_at", lambda column, value: column < value),
)
"""Member, column, condition: strictly after and before, in microseconds."""

LARGEST_TIME = 2**62
"""Microseconds; beyond any date that either database's integers hold."""


def list_jobs(  # noqa: PLR0913 - what the two kinds do not share, keyword-only
    context: Context,
    caller: Caller,
    jobs: JobTable[Job],
    request: Any,
    *,
    columns: dict[str, str],
    default_sort: str,
    extra: Sequence[sa.ColumnElement[bool]] = (),
) -> tuple[list[Job], str | None]:
    """One page of the caller's jobs.

    Args:
        context: The service's means.
        caller: Whose jobs.
        jobs: The kind of jobs.
        request: The List request; the members that both kinds have are read from it.
        columns: `SortBy` value to column.
        default_sort: `SortBy` when the request names none.
        extra: Conditions that only this kind has.

    Returns:
        The jobs, and the token of the next page or None.

    Raises:
        ValidationError: The token is not one of ours for this query, or a time is out of range.
    """
    order = columns[request.sort_by or default_sort]
    descending = request.sort_order == "Descending"
    query = _query_identity(caller, type(request).__name__, request)
    after = read_token(context.secrets, request.next_token, query=query) if request.next_token else None
    limit = _page_size(request.max_results)
    with context.database.read() as connection:
        rows = listing.page(
            connection,
            jobs.table,
            where=[jobs.table.c.account_id == caller.account_id, *_conditions(jobs.table, request), *extra],
            order=order,
            descending=descending,
            after=(after.value, after.row_id) if after else None,
            limit=limit + 1,
        )
    page, more = rows[:limit], len(rows) > limit
    token = next_token(context.secrets, Position(page[-1][order], page[-1]["id"]), query=query) if more else None
    return jobs.records(page), token


def _page_size(max_results: int | None) -> int:
    if max_results is None:
        return DEFAULT_PAGE_SIZE
    if max_results < 1:  # AWS's model of ListEdgePackagingJobs names no least value
        raise ValidationError(detected([fault(max_results, "maxResults", AT_LEAST_ONE)]))
    return max_results


def _query_identity(caller: Caller, operation: str, request: Any) -> list[Any]:
    members = {
        key: getattr(request, key) for key in request.__struct_fields__ if key not in {"next_token", "max_results"}
    }
    return [caller.account_id, operation, sorted(members.items())]


def _conditions(table: sa.Table, request: Any) -> list[sa.ColumnElement[bool]]:
    conditions = []
    for member, column, condition in TIME_FILTERS:
        value = getattr(request, member)
        if value is not None:
            conditions.append(condition(table.c[column], _microseconds(member, value)))
    if request.name_contains:
        conditions.append(listing.contains(table.c.name, request.name_contains))
    if request.status_equals:
        conditions.append(table.c.status == request.status_equals)
    return conditions


def _microseconds(member: str, seconds: float) -> int:
    if not abs(seconds) < LARGEST_TIME / MICROSECONDS:
        raise ValidationError(f"The time in {wire_name(member)} is out of range.")
    return round(seconds * MICROSECONDS)
