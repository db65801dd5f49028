"""Whose result stands at a place, and what the job is told whose result stood there before."""

import json
from typing import Any

import pytest

from edgepack.database import outputs
from edgepack.database.compilation_jobs import compilation_jobs
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.jobs.replacing import replace_holder
from edgepack.objects.address import S3Address
from rows import compilation_row, packaging_row

OURS, THEIRS = "000000000000", "111111111111"
PLACE = S3Address("bucket", "out/m.tar.gz")


def compiled(database: Database, name: str, *, uri: str = PLACE.uri, account_id: str = OURS) -> str:
    """A COMPLETED compilation job; its ARN."""
    row = compilation_row(
        name, account_id=account_id, status="COMPLETED", artifact_uri=uri, artifact_digest="d", artifact_etag="e"
    )
    with database.write() as connection:
        return compilation_jobs.insert(connection, row).arn


def packaged(database: Database, name: str, *, account_id: str = OURS) -> str:
    """A COMPLETED edge packaging job; its ARN."""
    with database.write() as connection:
        job = edge_packaging_jobs.insert(connection, packaging_row(name, account_id=account_id, status="INPROGRESS"))
        outcome = {"model_artifact": PLACE.uri, "model_signature": "{}"}
        edge_packaging_jobs.change(connection, job.id, expected={"INPROGRESS"}, outcome=outcome, status="COMPLETED")
        return job.arn


def write(database: Database, arn: str, *, stands: bool = True) -> None:
    """The job writes at the place."""
    with database.write() as connection:
        assert outputs.claim(connection, PLACE.place, arn)
        replace_holder(connection, PLACE.place, by=arn, stands=stands, now=9_000_000)
        outputs.release(connection, arn)


def described(database: Database, name: str, *, of: Any = compilation_jobs) -> dict[str, Any]:
    with database.read() as connection:
        job = of.named(connection, OURS, name)
        answer: dict[str, Any] = json.loads(of.described(connection, job.id))
        return answer


@pytest.mark.parametrize("stands", [True, False])
def test_a_compiled_model_that_was_replaced_is_no_longer_promised(database: Database, *, stands: bool) -> None:
    write(database, compiled(database, "first"))
    assert described(database, "first")["ModelDigests"] == {"ArtifactDigest": "d"}
    write(database, packaged(database, "second"), stands=stands)
    told = described(database, "first")
    assert told["CompilationJobStatus"] == "COMPLETED"
    assert told["ModelArtifacts"] == {"S3ModelArtifacts": ""}
    assert "ModelDigests" not in told
    assert "edge-packaging-job/second wrote in its place" in told["FailureReason"]
    assert told["LastModifiedTime"] == 9


def test_a_package_that_a_compilation_job_replaced_is_no_longer_promised(database: Database) -> None:
    write(database, packaged(database, "first"))
    write(database, compiled(database, "second"))
    told = described(database, "first", of=edge_packaging_jobs)
    assert told.keys() & {"ModelArtifact", "ModelSignature"} == set()
    assert "compilation-job/second wrote in its place" in told["EdgePackagingJobStatusMessage"]


def test_the_last_one_keeps_its_promise(database: Database) -> None:
    for name in ("first", "second", "first"):
        with database.write() as connection:
            job = compilation_jobs.named(connection, OURS, name)
            if job is not None:
                compilation_jobs.delete(connection, job.id, expected={"COMPLETED"})
        write(database, compiled(database, name))
    assert described(database, "first")["ModelArtifacts"] == {"S3ModelArtifacts": PLACE.uri}
    assert described(database, "second")["ModelArtifacts"] == {"S3ModelArtifacts": ""}


def test_a_job_of_the_same_name_that_wrote_elsewhere_is_not_told(database: Database) -> None:
    write(database, compiled(database, "first"))
    with database.write() as connection:
        job = compilation_jobs.named(connection, OURS, "first")
        assert job is not None
        compilation_jobs.delete(connection, job.id, expected={"COMPLETED"})
    compiled(database, "first", uri="s3://bucket/elsewhere.tar.gz")
    write(database, compiled(database, "second"))
    assert described(database, "first")["ModelArtifacts"] == {"S3ModelArtifacts": "s3://bucket/elsewhere.tar.gz"}


def test_jobs_of_another_account_are_not_named(database: Database) -> None:
    write(database, packaged(database, "ours"))
    write(database, packaged(database, "secret", account_id=THEIRS))
    told = json.dumps(described(database, "ours", of=edge_packaging_jobs))
    assert "a job of another account wrote in its place" in told
    assert "secret" not in told
    assert THEIRS not in told
