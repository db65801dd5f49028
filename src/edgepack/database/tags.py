"""Tags of resources, by ARN."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.database.schema import tags
from edgepack.database.upserts import insert


def read(connection: Connection, arn: str) -> dict[str, str]:
    """All tags of a resource, sorted by key."""
    query = sa.select(tags.c.key, tags.c.value).where(tags.c.resource_arn == arn).order_by(tags.c.key)
    return {row.key: row.value for row in connection.execute(query)}


def page(connection: Connection, arn: str, *, after: str, limit: int) -> list[tuple[str, str]]:
    """At most `limit` tags whose key sorts after `after`."""
    query = (
        sa.select(tags.c.key, tags.c.value)
        .where(tags.c.resource_arn == arn, tags.c.key > after)
        .order_by(tags.c.key)
        .limit(limit)
    )
    return [(key, value) for key, value in connection.execute(query)]


def put(connection: Connection, arn: str, values: Mapping[str, str]) -> None:
    """Add tags, replacing the values of keys that are there."""
    if not values:
        return
    new = insert(connection, tags)
    replacing = new.on_conflict_do_update(index_elements=list(tags.primary_key), set_={"value": new.excluded.value})
    connection.execute(replacing, [{"resource_arn": arn, "key": key, "value": value} for key, value in values.items()])


def remove(connection: Connection, arn: str, keys: Sequence[str]) -> None:
    """Remove tags; keys that are not there are no error."""
    connection.execute(sa.delete(tags).where(tags.c.resource_arn == arn, tags.c.key.in_(keys)))


def remove_all(connection: Connection, arn: str) -> None:
    """Remove every tag of a deleted resource."""
    connection.execute(sa.delete(tags).where(tags.c.resource_arn == arn))
