"""Compilation jobs at rest: the record of a row, and the Describe answer stored with it."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy.engine import RowMapping

from edgepack.contract.compilation_jobs import (
    CompilationJobSummary,
    CreateCompilationJobRequest,
    DescribeCompilationJobResponse,
    ModelArtifacts,
    ModelDigests,
)
from edgepack.database import schema
from edgepack.database.jobs import JobTable
from edgepack.database.records import CompilationJob, epoch_seconds


def read(row: RowMapping) -> CompilationJob:
    """The record of a row."""
    columns = dict(row)
    columns["request"] = msgspec.json.decode(columns["request"], type=CreateCompilationJobRequest)
    return CompilationJob(**columns)


def summary(job: CompilationJob) -> CompilationJobSummary:
    """The job as ListCompilationJobs shows it."""
    output, platform = job.request.output_config, job.request.output_config.target_platform
    return CompilationJobSummary(
        compilation_job_name=job.name,
        compilation_job_arn=job.arn,
        creation_time=epoch_seconds(job.created_at),
        compilation_start_time=_seconds(job.started_at),
        compilation_end_time=_seconds(job.ended_at),
        compilation_target_device=output.target_device,
        compilation_target_platform_os=platform.os if platform else None,
        compilation_target_platform_arch=platform.arch if platform else None,
        compilation_target_platform_accelerator=platform.accelerator if platform else None,
        last_modified_time=epoch_seconds(job.modified_at),
        compilation_job_status=job.status,
    )


def answer(job: CompilationJob, _outcome: Mapping[str, Any]) -> bytes:
    """The Describe answer, JSON ready to send; everything it shows is in the row."""
    request = job.request
    assert request.input_config is not None  # Create refuses a request without it
    response = DescribeCompilationJobResponse(
        compilation_job_name=job.name,
        compilation_job_arn=job.arn,
        compilation_job_status=job.status,
        compilation_start_time=_seconds(job.started_at),
        compilation_end_time=_seconds(job.ended_at),
        stopping_condition=request.stopping_condition,
        creation_time=epoch_seconds(job.created_at),
        last_modified_time=epoch_seconds(job.modified_at),
        failure_reason=job.failure_reason,
        model_artifacts=ModelArtifacts(s3_model_artifacts=job.artifact_uri),
        model_digests=ModelDigests(artifact_digest=job.artifact_digest) if job.artifact_digest else None,
        role_arn=request.role_arn,
        input_config=request.input_config,
        output_config=request.output_config,
        model_package_version_arn=request.model_package_version_arn,
        vpc_config=request.vpc_config,
    )
    return msgspec.json.encode(response)


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else epoch_seconds(microseconds)


compilation_jobs: JobTable[CompilationJob] = JobTable(
    schema.compilation_jobs, schema.compilation_job_answers, read=read, answer=answer
)
"""Queries over compilation jobs."""
