"""When a package gives way to another one, or to none: its job's description must not go on promising it."""

from typing import Final

import msgspec
from sqlalchemy.engine import Connection

from edgepack.contract.arns import parse_arn
from edgepack.contract.edge_packaging_jobs import EdgePresetDeploymentOutput
from edgepack.database import outputs
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.jobs.lifecycle import COMPLETED

PRESET: Final = "PresetDeploymentOutput"
"""Of what COMPLETED had added, this stays: the component version is still there."""


def replace_holder(connection: Connection, place: str, *, by: str, holder: str | None, now: int) -> None:
    """Note whose package stands at a place, and tell of the one that stood there before that it is gone.

    Args:
        connection: A connection inside a transaction.
        place: `S3Address.place`.
        by: ARN of the job that wrote there.
        holder: The same, if it is an edge packaging job that completes; else None.
        now: Microseconds since the epoch.
    """
    before = outputs.holder(connection, place)
    outputs.set_holder(connection, place, holder)
    if before not in {None, holder}:
        _tell(connection, str(before), f"The package is gone: {by} wrote in its place.", now)


def _tell(connection: Connection, arn: str, message: str, now: int) -> None:
    parsed = parse_arn(arn)
    assert parsed is not None
    job = edge_packaging_jobs.named(connection, parsed.account_id, parsed.name)
    if job is None:
        return
    # Not as a DescribeEdgePackagingJobResponse: AWS's pattern of the ARN knows no region with a digit.
    shown = msgspec.json.decode(edge_packaging_jobs.described(connection, job.id))
    preset = shown.get(PRESET)
    kept = {} if preset is None else {"preset_deployment_output": msgspec.convert(preset, EdgePresetDeploymentOutput)}
    edge_packaging_jobs.change(
        connection, job.id, expected={COMPLETED}, outcome=kept, status_message=message, modified_at=now
    )
