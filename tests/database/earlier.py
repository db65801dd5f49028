"""Databases as earlier releases left them: their schema, and rows as their code wrote them."""

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic import command
from dbos import DBOSClient, DBOSPortableJSONSerializer
from sqlalchemy.engine import Connection

from edgepack.database.engine import Database
from edgepack.database.migrate import alembic_config
from edgepack.jobs.engine import migrate_engine, new_workflow_id
from harness import ROLE

ACCOUNT = "000000000000"
CREATED = 1_795_667_144_906_968
"""A time of theirs, in microseconds since the epoch."""


@dataclass
class EarlierRelease:
    """The release whose newest migration was `revision`, at work on a database.

    Attributes:
        database: The database.
        revision: The migration.
        bucket: Where its jobs read and write.
    """

    database: Database
    revision: str
    bucket: str

    def __post_init__(self) -> None:
        with self.database.write() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, self.revision)
        self._url = self.database.url.render_as_string(hide_password=False)
        migrate_engine(self._url)

    def compilation(self, name: str, status: str, **columns: Any) -> dict[str, Any]:
        """A compilation job that passes an archive through; its row."""
        request = {
            "CompilationJobName": name,
            "RoleArn": ROLE,
            "InputConfig": {"S3Uri": f"s3://{self.bucket}/in/model.tar.gz", "Framework": "PYTORCH"},
            "OutputConfig": {
                "S3OutputLocation": f"s3://{self.bucket}/compiled/{name}",
                "TargetPlatform": {"Os": "LINUX", "Arch": "ARM64"},
                "CompilerOptions": '{"compiler": "none"}',
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        shown = {
            "CompilationJobName": name,
            "CompilationJobArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:compilation-job/{name}",
            "CompilationJobStatus": status,
            "CreationTime": CREATED / 1e6,
            "LastModifiedTime": CREATED / 1e6,
            "FailureReason": "",
            "ModelArtifacts": {"S3ModelArtifacts": columns.get("artifact_uri", "")},
            **{member: request[member] for member in ("RoleArn", "InputConfig", "OutputConfig", "StoppingCondition")},
        }
        row = {
            "account_id": ACCOUNT,
            "name": name,
            "arn": shown["CompilationJobArn"],
            "status": status,
            "request": written(request),
            "created_at": CREATED,
            "modified_at": CREATED,
            "workflow_id": new_workflow_id(),
            **columns,
        }
        place = f"{self.bucket}/compiled/{name}/model-LINUX_ARM64.tar.gz"
        return self._add("compilation_jobs", "compilation_job_answers", row, written(shown), place)

    def packaging(self, name: str, status: str, model: dict[str, Any], shown: bytes | None = None) -> dict[str, Any]:
        """An edge packaging job of what a compilation job has left; its row."""
        arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:edge-packaging-job/{name}"
        location = {"S3OutputLocation": f"s3://{self.bucket}/{name}"}
        row = {
            "account_id": ACCOUNT,
            "name": name,
            "arn": arn,
            "status": status,
            "status_message": "Waiting for a worker.",
            "compilation_job_name": model["name"],
            "compiled_model": written(
                {
                    "artifact_uri": model["artifact_uri"],
                    "artifact_etag": model["artifact_etag"],
                    "target_device": None,
                    "target_platform": {"Os": "LINUX", "Arch": "ARM64"},
                }
            ),
            "model_name": name,
            "model_version": "1.0",
            "role_arn": ROLE,
            "output_config": written(location),
            "output_bucket": self.bucket,
            "output_key": f"{name}/{name}-1.0.tar.gz",
            "created_at": CREATED,
            "modified_at": CREATED,
            "workflow_id": new_workflow_id(),
        }
        answer = shown or written({"EdgePackagingJobArn": arn, "EdgePackagingJobStatus": status})
        place = f"{self.bucket}/{row['output_key']}"
        return self._add("edge_packaging_jobs", "edge_packaging_job_answers", row, answer, place)

    def queued(self, job: dict[str, Any], workflow: str, queue: str) -> None:
        """Its workflow waits."""
        client = DBOSClient(
            system_database_url=self._url, serializer=DBOSPortableJSONSerializer(), application_name="edgepack"
        )
        options: Any = {
            "workflow_name": workflow,
            "queue_name": queue,
            "workflow_id": job["workflow_id"],
            "app_version": "1",
        }
        if self.revision >= "0003":
            options["priority"] = 1
        with self.database.write() as connection:
            client.enqueue_in_transaction(connection, options, job["id"], 1)
        client.destroy()

    def taken(self, job: dict[str, Any], worker: str) -> None:
        """A worker has taken it, and died some time ago."""
        workflows = "workflow_status" if self.database.is_sqlite else "dbos.workflow_status"
        update = f"UPDATE {workflows} SET status = 'PENDING', executor_id = :worker WHERE workflow_uuid = :id"
        with self.database.write() as connection:
            connection.execute(sa.text(update), {"worker": worker, "id": job["workflow_id"]})
            if connection.execute(sa.text("SELECT count(*) FROM executors")).scalar_one() == 0:
                insert(connection, "executors", executor_id=worker, heartbeat_at=CREATED)

    def began_upload(self, job: dict[str, Any], upload_id: str) -> None:
        """Its first attempt has begun to write."""
        with self.database.write() as connection:
            insert(
                connection,
                "uploads",
                upload_id=upload_id,
                owner_arn=job["arn"],
                attempt=1,
                bucket=self.bucket,
                key=job["output_key"],
            )

    def _add(self, table: str, answers: str, row: dict[str, Any], answer: bytes, place: str) -> dict[str, Any]:
        ended = row["status"] == "COMPLETED"
        with self.database.write() as connection:
            insert(connection, table, **row)
            job_id = connection.execute(sa.text(f"SELECT max(id) FROM {table}")).scalar_one()
            insert(connection, answers, job_id=job_id, describe=answer)
            owners = {"writer_arn": None, "holder_arn": row["arn"]} if ended else {"writer_arn": row["arn"]}
            insert(connection, "outputs", place=place, **owners)
        return {**row, "id": job_id}


def written(value: Any) -> bytes:
    """JSON as it was stored."""
    return json.dumps(value, separators=(",", ":")).encode()


def insert(connection: Connection, table: str, **values: Any) -> None:
    """Insert a row into a table as it is in this database, whatever this release declares."""
    there = sa.Table(table, sa.MetaData(), autoload_with=connection)
    connection.execute(sa.insert(there).values(**values))
