"""Multipart uploads that jobs have begun: noted before a byte is sent, so that whoever ends a job can abort them."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.database.records import OpenUpload
from edgepack.database.schema import uploads


def add(connection: Connection, upload: OpenUpload) -> None:
    """Note an upload that has been begun."""
    connection.execute(sa.insert(uploads).values(**msgspec.structs.asdict(upload)))


def begun_by(connection: Connection, owner_arn: str, *, up_to_attempt: int) -> list[OpenUpload]:
    """What a job's attempts up to this one, and no later one, have begun."""
    query = sa.select(uploads).where(uploads.c.owner_arn == owner_arn, uploads.c.attempt <= up_to_attempt)
    return [OpenUpload(**row) for row in connection.execute(query).mappings()]


def some(connection: Connection, at_most: int) -> list[OpenUpload]:
    """Uploads of all jobs, as many as that."""
    query = sa.select(uploads).limit(at_most)
    return [OpenUpload(**row) for row in connection.execute(query).mappings()]


def remove(connection: Connection, upload_id: str) -> None:
    """Forget an upload that has been completed or aborted."""
    connection.execute(sa.delete(uploads).where(uploads.c.upload_id == upload_id))
