"""When what a job wrote gives way to something else, or to nothing: its description must not go on promising it."""

from typing import Final

import msgspec
from sqlalchemy.engine import Connection

from edgepack.contract.arns import COMPILATION_JOB, ResourceArn, parse_arn
from edgepack.contract.edge_packaging_jobs import EdgePresetDeploymentOutput
from edgepack.database import outputs
from edgepack.database.compilation_jobs import compilation_jobs
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.jobs.lifecycle import COMPLETED
from edgepack.objects.address import parse_object_uri

PRESET: Final = "PresetDeploymentOutput"
"""Of what COMPLETED had added, this stays: the component version is still there."""


def replace_holder(connection: Connection, place: str, *, by: str, stands: bool, now: int) -> None:
    """Note whose result stands at a place, and tell the job whose stood there before that it is gone.

    Args:
        connection: A connection inside a transaction.
        place: `S3Address.place`.
        by: ARN of the job that wrote there.
        stands: Whether what it wrote is there: it completes. False when it ends without a result.
        now: Microseconds since the epoch.
    """
    before = outputs.holder(connection, place)
    outputs.set_holder(connection, place, by if stands else None)
    if before is None or (before == by and stands):
        return
    former, writer = _parsed(before), _parsed(by)
    # Accounts do not see each other's jobs, whatever bucket they share.
    who = by if writer.account_id == former.account_id else "a job of another account"
    if former.kind == COMPILATION_JOB:
        _tell_compilation_job(connection, former, place, f"The compiled model is gone: {who} wrote in its place.", now)
    else:
        _tell_edge_packaging_job(connection, former, f"The package is gone: {who} wrote in its place.", now)


def _tell_compilation_job(connection: Connection, arn: ResourceArn, place: str, message: str, now: int) -> None:
    job = compilation_jobs.named(connection, arn.account_id, arn.name)
    # A job may have been deleted, and its name given to another one, which writes elsewhere.
    if job is None or not job.artifact_uri or parse_object_uri(job.artifact_uri).place != place:
        return
    compilation_jobs.change(
        connection,
        job.id,
        expected={COMPLETED},
        artifact_uri="",
        artifact_digest=None,
        artifact_etag=None,
        failure_reason=message,
        modified_at=now,
    )


def _tell_edge_packaging_job(connection: Connection, arn: ResourceArn, message: str, now: int) -> None:
    job = edge_packaging_jobs.named(connection, arn.account_id, arn.name)
    if job is None:
        return
    # Not as a DescribeEdgePackagingJobResponse: AWS's pattern of the ARN knows no region with a digit.
    shown = msgspec.json.decode(edge_packaging_jobs.described(connection, job.id))
    preset = shown.get(PRESET)
    kept = {} if preset is None else {"preset_deployment_output": msgspec.convert(preset, EdgePresetDeploymentOutput)}
    edge_packaging_jobs.change(
        connection,
        job.id,
        expected={COMPLETED},
        outcome=kept,
        status_message=message,
        source_fingerprint=None,
        modified_at=now,
    )


def _parsed(arn: str) -> ResourceArn:
    parsed = parse_arn(arn)
    assert parsed is not None
    return parsed
