"""Creates and stops jobs as a user of boto3 does, asks again when the service is away, and knows which have ended."""

import contextlib
import time
from typing import Any

import sqlalchemy as sa
from botocore.exceptions import ClientError

from chaos import ledger
from chaos.plan import PACKAGING, Planned
from edgepack.database.engine import Database, DatabaseUnavailableError
from harness import FINAL, RunningServer

PAUSE_SECONDS = 0.1
"""Before a service or a database that is away is asked again."""


class Clerk:
    """A user of a server.

    Args:
        server: The server.
        database: Its database, which may be away.
    """

    def __init__(self, server: RunningServer, database: Database) -> None:
        self._server = server
        self._database = database

    def create(self, job: Planned) -> bool:
        """Create a job; False if another one writes to its output just now."""
        client = self._server.client("sagemaker")
        create = client.create_edge_packaging_job if job.kind == PACKAGING else client.create_compilation_job
        while True:
            try:
                create(**job.request)
            except ClientError as error:
                if "is writing" in str(error):
                    return False
                if "already exists" not in str(error):  # as a repeated request is told whose first answer was lost
                    if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                        raise
                    time.sleep(PAUSE_SECONDS)
                    continue
            return True

    def stop(self, job: Planned) -> None:
        """Ask for an edge packaging job's end."""
        client = self._server.client("sagemaker")
        with contextlib.suppress(ClientError):  # it has ended
            client.stop_edge_packaging_job(EdgePackagingJobName=job.name)

    def unended(self) -> list[str]:
        """The jobs that have not ended."""
        found = []
        for kind in ledger.KINDS:
            query = sa.text(f"SELECT name FROM {kind} WHERE status NOT IN :final")
            found += self._query(query.bindparams(sa.bindparam("final", expanding=True)), {"final": sorted(FINAL)})
        return found

    def has_ended(self, name: str) -> bool:
        """Whether an edge packaging job has."""
        query = sa.text("SELECT status FROM edge_packaging_jobs WHERE name = :name")
        return FINAL.issuperset(self._query(query, {"name": name}))

    def _query(self, query: sa.TextClause, parameters: dict[str, Any]) -> list[str]:
        while True:
            with contextlib.suppress(DatabaseUnavailableError), self._database.read() as connection:
                return list(connection.execute(query, parameters).scalars())
            time.sleep(PAUSE_SECONDS)
