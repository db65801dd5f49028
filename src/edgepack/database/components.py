"""Greengrass component versions: immutable once written, one per region, account, name and version."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.database.records import ComponentVersion
from edgepack.database.schema import component_versions
from edgepack.database.upserts import insert


def add(connection: Connection, component: ComponentVersion) -> ComponentVersion:
    """Store a component version unless it is there already; of two that race, one wins.

    Returns:
        The stored version: `component` itself, or the one that was there (compare `source_arn` and `recipe`).
    """
    new = insert(connection, component_versions).values(**msgspec.structs.asdict(component))
    connection.execute(new.on_conflict_do_nothing())
    stored = find(connection, component.arn)
    assert stored is not None
    return stored


def find(connection: Connection, arn: str) -> ComponentVersion | None:
    """The component version of that ARN."""
    row = connection.execute(sa.select(component_versions).where(component_versions.c.arn == arn)).mappings().first()
    return None if row is None else ComponentVersion(**row)


def remove_of(connection: Connection, source_arn: str) -> None:
    """Remove what a job published, when that job ends without its package."""
    connection.execute(sa.delete(component_versions).where(component_versions.c.source_arn == source_arn))
