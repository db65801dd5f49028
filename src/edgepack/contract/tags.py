"""AddTags, ListTags and DeleteTags, and the tags that the Create operations take."""

from typing import Annotated

import msgspec

from edgepack.contract.fields import ListTagsMaxResults, NextToken, ResourceArn, TagKey, TagKeyList, TagValue
from edgepack.contract.shapes import Shape


class Tag(Shape, frozen=True, kw_only=True):
    """A key and a value (API_Tag.html)."""

    key: TagKey
    value: TagValue


TagList = Annotated[list[Tag], msgspec.Meta(min_length=0, max_length=50)]


class AddTagsInput(Shape, frozen=True, kw_only=True):
    """Request of API_AddTags.html."""

    resource_arn: ResourceArn
    tags: TagList


class AddTagsOutput(Shape, frozen=True, kw_only=True):
    """Response: all tags of the resource."""

    tags: TagList | None = None


class ListTagsInput(Shape, frozen=True, kw_only=True):
    """Request of API_ListTags.html."""

    resource_arn: ResourceArn
    next_token: NextToken | None = None
    max_results: ListTagsMaxResults | None = None


class ListTagsOutput(Shape, frozen=True, kw_only=True):
    """Response: one page of tags."""

    tags: TagList | None = None
    next_token: NextToken | None = None


class DeleteTagsInput(Shape, frozen=True, kw_only=True):
    """Request of API_DeleteTags.html."""

    resource_arn: ResourceArn
    tag_keys: TagKeyList


class DeleteTagsOutput(Shape, frozen=True, kw_only=True):
    """Response: nothing."""
