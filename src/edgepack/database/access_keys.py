"""Access keys at rest: the secret only ever sealed, the session token only ever hashed."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.database.records import AccessKey
from edgepack.database.schema import access_keys

_BY_ID = sa.select(access_keys).where(access_keys.c.access_key_id == sa.bindparam("key"))


def add(connection: Connection, key: AccessKey) -> None:
    """Store a new access key."""
    connection.execute(sa.insert(access_keys).values(**msgspec.structs.asdict(key)))


def find(connection: Connection, access_key_id: str) -> AccessKey | None:
    """The key of that id."""
    row = connection.execute(_BY_ID, {"key": access_key_id}).mappings().first()
    return None if row is None else AccessKey(**row)


def first_of(connection: Connection, account_id: str) -> AccessKey | None:
    """The account's oldest key that does not expire: the one `edgepack env` prints."""
    query = (
        sa.select(access_keys)
        .where(access_keys.c.account_id == account_id, access_keys.c.expires_at.is_(None))
        .order_by(access_keys.c.created_at, access_keys.c.access_key_id)
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else AccessKey(**row)


def long_term(connection: Connection) -> list[AccessKey]:
    """All keys that do not expire, the oldest first."""
    query = (
        sa.select(access_keys)
        .where(access_keys.c.expires_at.is_(None))
        .order_by(access_keys.c.created_at, access_keys.c.access_key_id)
    )
    return [AccessKey(**row) for row in connection.execute(query).mappings()]


def delete_expired(connection: Connection, *, now: int) -> int:
    """Remove temporary keys that ended before `now` (microseconds); how many there were."""
    removal = sa.delete(access_keys).where(access_keys.c.expires_at.is_not(None), access_keys.c.expires_at < now)
    return connection.execute(removal).rowcount
