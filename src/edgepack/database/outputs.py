"""Who writes where, and whose result stands where: one row for each place in the store that a job has been given.

A place has at most one writer, a job that has not ended, and at most one holder, the job whose result was the last to
be written there: a description of any earlier one would no longer be true.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.database.schema import outputs
from edgepack.database.upserts import insert

_AT = outputs.c.place == sa.bindparam("at")


def claim(connection: Connection, place: str, writer_arn: str) -> bool:
    """Make a job a place's writer; False while another one is.

    Args:
        connection: A connection inside the transaction that adds the job.
        place: `S3Address.place` of the job's output.
        writer_arn: The job.
    """
    new = insert(connection, outputs).values(place=place, writer_arn=writer_arn)
    claimed = new.on_conflict_do_update(
        index_elements=[outputs.c.place], set_={"writer_arn": writer_arn}, where=outputs.c.writer_arn.is_(None)
    )
    # Told by the row it returns: drivers differ in what they count of an insert that became an update.
    return connection.execute(claimed.returning(outputs.c.place)).first() is not None


def writer(connection: Connection, place: str) -> str | None:
    """The ARN of the job that writes there."""
    return connection.execute(sa.select(outputs.c.writer_arn).where(_AT), {"at": place}).scalar()


def release(connection: Connection, writer_arn: str) -> None:
    """The job has ended: it writes nowhere any more."""
    connection.execute(sa.update(outputs).where(outputs.c.writer_arn == writer_arn).values(writer_arn=None))


def holder(connection: Connection, place: str) -> str | None:
    """The ARN of the job whose result stands there."""
    return connection.execute(sa.select(outputs.c.holder_arn).where(_AT), {"at": place}).scalar()


def set_holder(connection: Connection, place: str, holder_arn: str | None) -> None:
    """Another job's result stands there from now on, or none."""
    connection.execute(sa.update(outputs).where(_AT).values(holder_arn=holder_arn), {"at": place})


def forget(connection: Connection, place: str, holder_arn: str) -> None:
    """Forget a place whose holder is forgotten, unless another job writes there or has written there since."""
    no_others = (_AT, outputs.c.holder_arn == holder_arn, outputs.c.writer_arn.is_(None))
    connection.execute(sa.delete(outputs).where(*no_others), {"at": place})
