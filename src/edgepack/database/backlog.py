"""The jobs that have not ended, counted along the index of their status: what has ended costs nothing, however much."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.database.executors import database_now
from edgepack.database.records import epoch_seconds


def count_by_status(connection: Connection, table: sa.Table, statuses: Collection[str]) -> dict[str, int]:
    """How many jobs of all accounts there are in each of these statuses.

    Args:
        connection: A connection.
        table: The jobs' table.
        statuses: Statuses that few jobs are in.
    """
    status = table.c.status
    query = sa.select(status, sa.func.count()).where(status.in_(sorted(statuses))).group_by(status)
    counted = {row[0]: int(row[1]) for row in connection.execute(query)}
    return {each: counted.get(each, 0) for each in sorted(statuses)}


def oldest_seconds(connection: Connection, table: sa.Table, status: str) -> float:
    """How long ago the oldest job in this status was created, by the database's clock; 0 if there is none."""
    query = sa.select(sa.func.min(table.c.created_at)).where(table.c.status == status)
    created = connection.execute(query).scalar()
    return 0.0 if created is None else max(0.0, epoch_seconds(database_now(connection) - created))
