"""Edge packaging jobs at rest: the record of a row, and the Describe answer stored with it."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from edgepack.contract.edge_packaging_jobs import (
    DescribeEdgePackagingJobResponse,
    EdgeOutputConfig,
    EdgePackagingJobSummary,
)
from edgepack.database import schema
from edgepack.database.jobs import JobTable
from edgepack.database.records import CompiledModel, EdgePackagingJob, epoch_seconds


def read(row: RowMapping) -> EdgePackagingJob:
    """The record of a row."""
    columns = dict(row)
    columns["compiled_model"] = msgspec.json.decode(columns["compiled_model"], type=CompiledModel)
    columns["output_config"] = msgspec.json.decode(columns["output_config"], type=EdgeOutputConfig)
    return EdgePackagingJob(**columns)


def summary(job: EdgePackagingJob) -> EdgePackagingJobSummary:
    """The job as ListEdgePackagingJobs shows it."""
    return EdgePackagingJobSummary(
        edge_packaging_job_arn=job.arn,
        edge_packaging_job_name=job.name,
        edge_packaging_job_status=job.status,
        compilation_job_name=job.compilation_job_name,
        model_name=job.model_name,
        model_version=job.model_version,
        creation_time=epoch_seconds(job.created_at),
        last_modified_time=epoch_seconds(job.modified_at),
    )


def answer(job: EdgePackagingJob, outcome: Mapping[str, Any]) -> bytes:
    """The Describe answer.

    Args:
        job: The record.
        outcome: What COMPLETED adds, by member: `model_artifact`, `model_signature`, `preset_deployment_output`.

    Returns:
        JSON, ready to send.
    """
    response = DescribeEdgePackagingJobResponse(
        edge_packaging_job_arn=job.arn,
        edge_packaging_job_name=job.name,
        compilation_job_name=job.compilation_job_name,
        model_name=job.model_name,
        model_version=job.model_version,
        role_arn=job.role_arn,
        output_config=job.output_config,
        resource_key=job.resource_key,
        edge_packaging_job_status=job.status,
        edge_packaging_job_status_message=job.status_message,
        creation_time=epoch_seconds(job.created_at),
        last_modified_time=epoch_seconds(job.modified_at),
        **outcome,
    )
    return msgspec.json.encode(response)


edge_packaging_jobs: JobTable[EdgePackagingJob] = JobTable(
    schema.edge_packaging_jobs, schema.edge_packaging_job_answers, read=read, answer=answer
)
"""Queries over edge packaging jobs."""

_row = schema.edge_packaging_jobs.c
_packaged_from = (
    sa.select(schema.edge_packaging_jobs)
    .where(
        _row.account_id == sa.bindparam("account"),
        _row.source_fingerprint == sa.bindparam("fingerprint"),
        _row.status == "COMPLETED",
    )
    .order_by(_row.id.desc())
    .limit(1)
)


def packaged_from(connection: Connection, account_id: str, fingerprint: str) -> EdgePackagingJob | None:
    """The account's newest job whose package stands and has this source's bytes for its body."""
    row = connection.execute(_packaged_from, {"account": account_id, "fingerprint": fingerprint}).mappings().first()
    return None if row is None else read(row)
