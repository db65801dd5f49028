"""What jobs may have left in the store: noted where it cannot be known, so that somebody looks when they have ended."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.database.records import Leftover
from edgepack.database.schema import leftovers
from edgepack.database.upserts import insert


def note(connection: Connection, leftover: Leftover) -> None:
    """Note that a job may have left something; noted again, it is looked for longer."""
    new = insert(connection, leftovers).values(**msgspec.structs.asdict(leftover))
    keys = [leftovers.c.owner_arn, leftovers.c.owner_created_at]
    connection.execute(new.on_conflict_do_update(index_elements=keys, set_={"noted_at": leftover.noted_at}))


def oldest(connection: Connection, at_most: int) -> list[Leftover]:
    """Those that were noted first, as many as that."""
    query = sa.select(leftovers).order_by(leftovers.c.noted_at).limit(at_most)
    return [Leftover(**row) for row in connection.execute(query).mappings()]


def forget(connection: Connection, leftover: Leftover) -> None:
    """Nothing of it is there any more; unless it has been noted again meanwhile."""
    values = msgspec.structs.asdict(leftover).items()
    connection.execute(sa.delete(leftovers).where(*(leftovers.c[name] == value for name, value in values)))
