"""AddTags, ListTags, DeleteTags, for every resource that has an ARN here."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from edgepack.contract.arns import COMPILATION_JOB, EDGE_PACKAGING_JOB, ResourceArn, parse_arn
from edgepack.contract.tags import (
    AddTagsInput,
    AddTagsOutput,
    DeleteTagsInput,
    DeleteTagsOutput,
    ListTagsInput,
    ListTagsOutput,
    Tag,
)
from edgepack.database import tags
from edgepack.database.compilation_jobs import compilation_jobs
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.jobs import JobTable
from edgepack.errors import ResourceNotFoundError, ValidationError
from edgepack.service.caller import Caller
from edgepack.service.context import Context
from edgepack.service.paging import Position, next_token, read_token

MAX_TAGS = 50
"""Tags of one resource (AWS General Reference, "Tag naming limits and requirements")."""

RESERVED_PREFIX = "aws:"
"""Keys that only AWS's own services set (same page)."""

DEFAULT_TAG_PAGE = 50
"""Tags in one answer when MaxResults is absent: all that a resource can have."""

TAGGED: Mapping[str, JobTable[Any]] = {EDGE_PACKAGING_JOB: edge_packaging_jobs, COMPILATION_JOB: compilation_jobs}


class Tags:
    """The operations on tags.

    Args:
        context: The service's means.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def add(self, caller: Caller, request: AddTagsInput) -> AddTagsOutput:
        """Add tags, replacing values of keys that are there; answers all tags of the resource.

        Raises:
            ResourceNotFoundError: There is no such resource in the caller's account.
            ValidationError: A key is repeated or reserved, or there would be more than `MAX_TAGS`.
        """
        arn = request.resource_arn
        with self._context.database.write() as connection:
            self._require_resource(connection, caller, arn)
            put_new_tags(connection, arn, request.tags)
            return AddTagsOutput(tags=[Tag(key=key, value=value) for key, value in tags.read(connection, arn).items()])

    def list(self, caller: Caller, request: ListTagsInput) -> ListTagsOutput:
        """The resource's tags, by key.

        Raises:
            ResourceNotFoundError: There is no such resource in the caller's account.
            ValidationError: The token is not one of ours for this resource.
        """
        arn, query = request.resource_arn, [caller.account_id, "ListTags", request.resource_arn]
        after = read_token(self._context.secrets, request.next_token, query=query) if request.next_token else None
        limit = request.max_results or DEFAULT_TAG_PAGE
        with self._context.database.read() as connection:
            self._require_resource(connection, caller, arn)
            found = tags.page(connection, arn, after=str(after.value) if after else "", limit=limit + 1)
        token = (
            next_token(self._context.secrets, Position(found[limit - 1][0], 0), query=query)
            if len(found) > limit
            else None
        )
        return ListTagsOutput(tags=[Tag(key=key, value=value) for key, value in found[:limit]], next_token=token)

    def delete(self, caller: Caller, request: DeleteTagsInput) -> DeleteTagsOutput:
        """Remove tags by key; keys that are not there are no error.

        Raises:
            ResourceNotFoundError: There is no such resource in the caller's account.
        """
        with self._context.database.write() as connection:
            self._require_resource(connection, caller, request.resource_arn)
            tags.remove(connection, request.resource_arn, request.tag_keys)
        return DeleteTagsOutput()

    def _require_resource(self, connection: Connection, caller: Caller, arn: str) -> None:
        parsed: ResourceArn | None = parse_arn(arn)
        table = TAGGED.get(parsed.kind) if parsed else None
        if parsed is not None and table is not None:
            job = table.named(connection, caller.account_id, parsed.name)
            if job is not None and job.arn == arn:
                table.ownership(connection, job.id)  # locks it in a transaction: no two add tags to it at once
                return
        raise ResourceNotFoundError(f"Could not find the resource {arn}.")


def put_new_tags(connection: Connection, arn: str, new: Sequence[Tag]) -> None:
    """Add tags to a resource.

    Raises:
        ValidationError: A key is repeated or reserved, or there would be more than `MAX_TAGS`.
    """
    values = {tag.key: tag.value for tag in new}
    if len(values) != len(new):
        raise ValidationError("A tag key is given more than once.")
    reserved = [key for key in values if key.lower().startswith(RESERVED_PREFIX)]
    if reserved:
        raise ValidationError(f"Tag keys cannot start with {RESERVED_PREFIX!r}: {', '.join(sorted(reserved))}.")
    if len(tags.read(connection, arn).keys() | values.keys()) > MAX_TAGS:
        raise ValidationError(f"A resource has at most {MAX_TAGS} tags.")
    tags.put(connection, arn, values)
