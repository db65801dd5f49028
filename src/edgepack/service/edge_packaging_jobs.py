"""CreateEdgePackagingJob, DescribeEdgePackagingJob, ListEdgePackagingJobs, StopEdgePackagingJob."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.contract.arns import edge_packaging_job_arn
from edgepack.contract.edge_packaging_jobs import (
    CreateEdgePackagingJobRequest,
    DescribeEdgePackagingJobRequest,
    ListEdgePackagingJobsRequest,
    ListEdgePackagingJobsResponse,
    StopEdgePackagingJobRequest,
)
from edgepack.database import outputs
from edgepack.database.compilation_jobs import compilation_jobs
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs, summary
from edgepack.database.point_reads import PointRead
from edgepack.database.records import CompiledModel
from edgepack.errors import ResourceNotFoundError, ValidationError
from edgepack.jobs.engine import EDGE_PACKAGING_QUEUE, EDGE_PACKAGING_WORKFLOW, new_workflow_id
from edgepack.jobs.lifecycle import COMPLETED, STARTING, STOPPED, STOPPING
from edgepack.jobs.presets import preset_of
from edgepack.objects.address import S3Address, join_key, parse_s3_uri
from edgepack.service.caller import Caller
from edgepack.service.context import Context
from edgepack.service.limits import next_turn, require_room
from edgepack.service.listing import list_jobs
from edgepack.service.stopping import stop_job
from edgepack.service.tags import put_new_tags
from edgepack.telemetry.context import note

STOP_MESSAGES = {
    STOPPED: "Stopped before a worker took it. Nothing was written.",
    STOPPING: "Stopping at the caller's request.",
}

SORT_COLUMNS = {
    "NAME": "name",
    "MODEL_NAME": "model_name",
    "CREATION_TIME": "created_at",
    "LAST_MODIFIED_TIME": "modified_at",
    "STATUS": "status",
}


def package_name(model_name: str, model_version: str) -> str:
    """The last part of a package's key, as AWS named it."""
    return f"{model_name}-{model_version}.tar.gz"


class EdgePackagingJobs:
    """The operations on edge packaging jobs.

    Args:
        context: The service's means.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._describe = PointRead(context.database, edge_packaging_jobs.describe_query)

    def create(self, caller: Caller, request: CreateEdgePackagingJobRequest) -> None:
        """Write the job and queue its workflow, in one transaction.

        Raises:
            ValidationError: The name is taken, the compilation job is missing or not COMPLETED, the output location or
                the preset deployment's configuration is impossible, or another active job writes the same key.
            ResourceLimitExceededError: The account has its share of jobs waiting or running.
        """
        target = join_key(
            request.output_config.s3_output_location, package_name(request.model_name, request.model_version)
        )
        arn = edge_packaging_job_arn(caller.region, caller.account_id, request.edge_packaging_job_name)
        try:
            with self._context.database.write() as connection:
                self._require_room(connection, caller)
                compiled = self._require_compiled(connection, caller, request.compilation_job_name)
                _require_other_place(target, compiled)
                _require_preset(request, compiled)
                self._insert(connection, caller, request, compiled, target)
                _claim(connection, target, arn)
        except sa.exc.IntegrityError as error:
            raise _name_taken(arn) from error

    def describe(self, caller: Caller, request: DescribeEdgePackagingJobRequest) -> msgspec.Raw:
        """The job's stored answer.

        Raises:
            ResourceNotFoundError: There is no such job in the caller's account.
        """
        found = self._describe.value(caller.account_id, request.edge_packaging_job_name)
        if found is None:
            raise _not_found(request.edge_packaging_job_name)
        return msgspec.Raw(found)

    def list(self, caller: Caller, request: ListEdgePackagingJobsRequest) -> ListEdgePackagingJobsResponse:
        """One page of the account's jobs, by creation time unless `SortBy` says otherwise.

        Raises:
            ValidationError: The token is not one of ours for this query.
        """
        jobs, token = list_jobs(
            self._context,
            caller,
            edge_packaging_jobs,
            request,
            columns=SORT_COLUMNS,
            default_sort="CREATION_TIME",
            texts={"name": request.name_contains or "", "model_name": request.model_name_contains or ""},
        )
        return ListEdgePackagingJobsResponse(
            edge_packaging_job_summaries=[summary(job) for job in jobs], next_token=token
        )

    def stop(self, caller: Caller, request: StopEdgePackagingJobRequest) -> None:
        """Stop a job: at once if no worker has it yet, else at its next chunk. Repeating it changes nothing.

        Raises:
            ResourceNotFoundError: There is no such job in the caller's account.
            ValidationError: The job has COMPLETED or FAILED.
        """
        name = request.edge_packaging_job_name
        found = stop_job(
            self._context,
            edge_packaging_jobs,
            account_id=caller.account_id,
            name=name,
            kind="edge packaging job",
            columns=lambda target: {"status_message": STOP_MESSAGES[target]},
        )
        if not found:
            raise _not_found(name)

    def _require_room(self, connection: Connection, caller: Caller) -> None:
        require_room(
            connection,
            edge_packaging_jobs,
            caller.account_id,
            kind="edge packaging job",
            at_most=self._context.active_jobs_max,
        )

    def _require_compiled(self, connection: Connection, caller: Caller, name: str) -> CompiledModel:
        compiled = compilation_jobs.named(connection, caller.account_id, name)
        if compiled is None:
            raise ValidationError(
                f"Could not find compilation job with name {name!r} in account {caller.account_id}.",
                advice="Create it first with CreateCompilationJob; ListCompilationJobs shows those that exist.",
            )
        if compiled.status != COMPLETED:
            reason = f" Its failure reason: {compiled.failure_reason}" if compiled.failure_reason else ""
            raise ValidationError(
                f"Compilation job {name!r} is {compiled.status}; "
                f"an edge packaging job needs one that is COMPLETED.{reason}"
            )
        if compiled.compiled_model is None:
            raise ValidationError(
                f"Compilation job {name!r} has nothing to package any more. {compiled.failure_reason}",
                advice="Compile the model again, to a place where no other job writes.",
            )
        return compiled.compiled_model

    def _insert(
        self,
        connection: Connection,
        caller: Caller,
        request: CreateEdgePackagingJobRequest,
        compiled: CompiledModel,
        target: S3Address,
    ) -> None:
        now, name = self._context.clock(), request.edge_packaging_job_name
        workflow_id = new_workflow_id()
        values: dict[str, Any] = {
            "account_id": caller.account_id,
            "name": name,
            "arn": edge_packaging_job_arn(caller.region, caller.account_id, name),
            "status": STARTING,
            "status_message": "Waiting for a worker.",
            "compilation_job_name": request.compilation_job_name,
            "compiled_model": msgspec.json.encode(compiled),
            "model_name": request.model_name,
            "model_version": request.model_version,
            "role_arn": request.role_arn,
            "output_config": msgspec.json.encode(request.output_config),
            "resource_key": request.resource_key,
            "output_bucket": target.bucket,
            "output_key": target.key,
            "created_at": now,
            "modified_at": now,
            "workflow_id": workflow_id,
            "turn": next_turn(connection, edge_packaging_jobs, caller.account_id),
        }
        job = edge_packaging_jobs.insert(connection, values)
        put_new_tags(connection, job.arn, request.tags or [])
        self._context.work.enqueue(
            connection,
            workflow=EDGE_PACKAGING_WORKFLOW,
            queue=EDGE_PACKAGING_QUEUE,
            workflow_id=workflow_id,
            job_id=job.id,
            turn=job.turn,
        )
        note(workflow_id=workflow_id)


def _name_taken(arn: str) -> ValidationError:
    return ValidationError(
        f"Edge packaging job names must be unique within an AWS account and region, and an edge packaging job with "
        f"this name already exists ({arn})."
    )


def _claim(connection: Connection, target: S3Address, arn: str) -> None:
    if not outputs.claim(connection, target.place, arn):
        raise ValidationError(
            f"Another job is writing {target} at this moment.",
            advice="Wait until it ends, stop it, or choose another model version or output location.",
        )


def _require_other_place(target: S3Address, compiled: CompiledModel) -> None:
    if target.place == parse_s3_uri(compiled.artifact_uri).place:
        raise ValidationError(
            f"The package would replace the compiled model that it is made of, {target.uri}.",
            advice="Choose another output location, model name or model version.",
        )


def _require_preset(request: CreateEdgePackagingJobRequest, compiled: CompiledModel) -> None:
    output = request.output_config
    if output.preset_deployment_type is None:
        if output.preset_deployment_config is not None:
            raise ValidationError("PresetDeploymentConfig has no effect without PresetDeploymentType.")
        return
    preset_of(output.preset_deployment_config, job_name=request.edge_packaging_job_name, compiled=compiled)


def _not_found(name: str) -> ResourceNotFoundError:
    return ResourceNotFoundError(f"Could not find edge packaging job with name {name!r}.")
