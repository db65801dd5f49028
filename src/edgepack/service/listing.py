"""What the two List operations of jobs share: filters to conditions, a page, a token."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from edgepack.contract.shapes import wire_name
from edgepack.contract.validation import detected, fault
from edgepack.database.jobs import JobTable
from edgepack.database.listing import Listing, page
from edgepack.database.narrowing import Window
from edgepack.database.records import MICROSECONDS
from edgepack.errors import ValidationError
from edgepack.service.caller import Caller
from edgepack.service.context import Context
from edgepack.service.paging import DEFAULT_PAGE_SIZE, Position, next_token, read_token

Job = TypeVar("Job")

AT_LEAST_ONE = "Member must have value greater than or equal to 1"

WINDOWS = {"created_at": "creation_time", "modified_at": "last_modified_time"}
"""Column, and the beginning of the members that bound it: strictly after and before."""

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
    texts: Mapping[str, str],
) -> tuple[list[Job], str | None]:
    """One page of the caller's jobs.

    Args:
        context: The service's means.
        caller: Whose jobs.
        jobs: The kind of jobs.
        request: The List request; the members that both kinds have are read from it.
        columns: `SortBy` value to column.
        default_sort: `SortBy` when the request names none.
        texts: What a column's value must contain, by column.

    Returns:
        The jobs, and the token of the next page or None.

    Raises:
        ValidationError: The token is not one of ours for this query, or a time is out of range.
    """
    order = columns[request.sort_by or default_sort]
    listing = Listing(
        table=jobs.table,
        account_id=caller.account_id,
        order=order,
        descending=request.sort_order == "Descending",
        status=request.status_equals,
        windows=dict(_windows(request)),
        texts={column: text for column, text in texts.items() if text},
    )
    query = _query_identity(caller, type(request).__name__, request)
    after = read_token(context.secrets, request.next_token, query=query) if request.next_token else None
    with context.database.read() as connection:
        rows, ends_at = page(
            connection,
            listing,
            after=(after.value, after.row_id) if after else None,
            limit=_page_size(request.max_results),
        )
    token = next_token(context.secrets, Position(*ends_at), query=query) if ends_at else None
    return jobs.records(rows), token


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


def _windows(request: Any) -> Iterator[tuple[str, Window]]:
    for column, members in WINDOWS.items():
        after, before = (_bound(request, f"{members}_{end}") for end in ("after", "before"))
        if (after, before) != (None, None):
            yield column, (after, before)


def _bound(request: Any, member: str) -> int | None:
    seconds = getattr(request, member)
    return None if seconds is None else _microseconds(member, seconds)


def _microseconds(member: str, seconds: float) -> int:
    if not abs(seconds) < LARGEST_TIME / MICROSECONDS:
        raise ValidationError(f"The time in {wire_name(member)} is out of range.")
    return round(seconds * MICROSECONDS)
