"""Who is alive: worker heartbeats and named leases, all by the database's clock.

Workers on several machines have several clocks; only the database's is the same for all of them.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.database.schema import executors, leases
from edgepack.database.upserts import insert


def heartbeat(connection: Connection, executor_id: str) -> None:
    """Record that the executor lives now. Needs a transaction."""
    now = database_now(connection)
    update = sa.update(executors).where(executors.c.executor_id == executor_id).values(heartbeat_at=now)
    if connection.execute(update).rowcount == 0:
        connection.execute(sa.insert(executors).values(executor_id=executor_id, heartbeat_at=now))


def retire(connection: Connection, executor_id: str) -> None:
    """Forget an executor that ended in order, or whose jobs have been handed on."""
    connection.execute(sa.delete(executors).where(executors.c.executor_id == executor_id))


def alive(connection: Connection, *, within: int) -> set[str]:
    """Executors that have been heard of in the last `within` microseconds."""
    threshold = database_now(connection) - within
    query = sa.select(executors.c.executor_id).where(executors.c.heartbeat_at >= threshold)
    return set(connection.execute(query).scalars())


def silent(connection: Connection, *, beyond: int) -> set[str]:
    """Executors that did not end in order and have not been heard of for `beyond` microseconds: the dead."""
    threshold = database_now(connection) - beyond
    query = sa.select(executors.c.executor_id).where(executors.c.heartbeat_at < threshold)
    return set(connection.execute(query).scalars())


def forget_silent(connection: Connection, *, beyond: int) -> None:
    """Forget executors not heard of for `beyond` microseconds: their rows would otherwise pile up."""
    connection.execute(sa.delete(executors).where(executors.c.heartbeat_at < database_now(connection) - beyond))


def take_lease(connection: Connection, name: str, holder: str, *, duration: int) -> bool:
    """Take or renew a lease for `duration` microseconds; False while somebody else holds it. Needs a transaction."""
    now = database_now(connection)
    take = (
        sa.update(leases)
        .where(leases.c.name == name, sa.or_(leases.c.holder == holder, leases.c.expires_at < now))
        .values(holder=holder, expires_at=now + duration)
    )
    if connection.execute(take).rowcount == 1:
        return True
    first = insert(connection, leases).values(name=name, holder=holder, expires_at=now + duration)
    # Two that are the first at the same moment must not fail each other.
    return connection.execute(first.on_conflict_do_nothing().returning(leases.c.name)).first() is not None


def database_now(connection: Connection) -> int:
    """The database's clock, microseconds since the epoch (milliseconds' resolution on SQLite)."""
    if connection.dialect.name == "sqlite":
        statement = "SELECT CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) * 1000"
    else:
        statement = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
    return int(connection.exec_driver_sql(statement).scalar_one())
