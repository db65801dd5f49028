"""One transaction of an account at a time, for rules over all of its rows."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:account, 0))")


def lock_account(connection: Connection, account_id: str) -> None:
    """Wait until no other transaction has locked the account; this one does until it ends.

    A rule such as "at most so many jobs" could otherwise be kept by each of two transactions and broken by both. On
    SQLite a transaction that writes is alone anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"account": account_id})
