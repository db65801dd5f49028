"""Greengrass component versions: immutable once written, one per region, account, name and version."""

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from edgepack.database.records import ComponentVersion
from edgepack.database.schema import component_versions

_INSERTS: dict[str, Callable[[sa.Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
"""Both databases know ON CONFLICT; SQLAlchemy has it per dialect."""


def add(connection: Connection, component: ComponentVersion) -> ComponentVersion:
    """Store a component version unless it is there already; of two that race, one wins.

    Returns:
        The stored version: `component` itself, or the one that was there (compare `source_arn` and `recipe`).
    """
    insert = _INSERTS[connection.dialect.name](component_versions).values(**msgspec.structs.asdict(component))
    connection.execute(insert.on_conflict_do_nothing())
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
