"""CreateCompilationJob, DescribeCompilationJob, ListCompilationJobs, StopCompilationJob, DeleteCompilationJob."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edgepack.contract.arns import compilation_job_arn
from edgepack.contract.compilation_jobs import (
    CreateCompilationJobRequest,
    CreateCompilationJobResponse,
    DeleteCompilationJobRequest,
    DescribeCompilationJobRequest,
    ListCompilationJobsRequest,
    ListCompilationJobsResponse,
    StopCompilationJobRequest,
)
from edgepack.database import outputs, tags
from edgepack.database.compilation_jobs import compilation_jobs, summary
from edgepack.database.point_reads import PointRead
from edgepack.errors import ResourceInUseError, ResourceNotFoundError, ValidationError
from edgepack.jobs.compilation import target_of
from edgepack.jobs.engine import COMPILATION_QUEUE, COMPILATION_WORKFLOW, new_workflow_id
from edgepack.jobs.lifecycle import FINAL, STARTING
from edgepack.objects.address import S3Address
from edgepack.service.caller import Caller
from edgepack.service.context import Context
from edgepack.service.limits import next_turn, require_room
from edgepack.service.listing import list_jobs
from edgepack.service.stopping import stop_job
from edgepack.service.tags import put_new_tags
from edgepack.telemetry.context import note

SORT_COLUMNS = {"Name": "name", "CreationTime": "created_at", "Status": "status"}


class CompilationJobs:
    """The operations on compilation jobs.

    Args:
        context: The service's means.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._describe = PointRead(context.database, compilation_jobs.describe_query)

    def create(self, caller: Caller, request: CreateCompilationJobRequest) -> CreateCompilationJobResponse:
        """Write the job and queue its workflow, in one transaction.

        Raises:
            ValidationError: The members contradict each other, or name something that this service cannot do.
            ResourceInUseError: The name is taken.
            ResourceLimitExceededError: The account has its share of jobs waiting or running.
        """
        _check(request)
        arn = compilation_job_arn(caller.region, caller.account_id, request.compilation_job_name)
        try:
            self._insert(caller, request, arn)
        except sa.exc.IntegrityError as error:
            raise ResourceInUseError(
                f"Compilation job names must be unique within an AWS account and region, and a compilation job with "
                f"this name already exists ({arn})."
            ) from error
        return CreateCompilationJobResponse(compilation_job_arn=arn)

    def describe(self, caller: Caller, request: DescribeCompilationJobRequest) -> msgspec.Raw:
        """The job's stored answer.

        Raises:
            ResourceNotFoundError: There is no such job in the caller's account.
        """
        found = self._describe.value(caller.account_id, request.compilation_job_name)
        if found is None:
            raise _not_found(request.compilation_job_name)
        return msgspec.Raw(found)

    def list(self, caller: Caller, request: ListCompilationJobsRequest) -> ListCompilationJobsResponse:
        """One page of the account's jobs, by creation time unless `SortBy` says otherwise.

        Raises:
            ValidationError: The token is not one of ours for this query.
        """
        jobs, token = list_jobs(
            self._context,
            caller,
            compilation_jobs,
            request,
            columns=SORT_COLUMNS,
            default_sort="CreationTime",
            texts={"name": request.name_contains or ""},
        )
        return ListCompilationJobsResponse(compilation_job_summaries=[summary(job) for job in jobs], next_token=token)

    def stop(self, caller: Caller, request: StopCompilationJobRequest) -> None:
        """Stop a job: at once if no worker has it yet, else shortly. Repeating it changes nothing.

        Raises:
            ResourceNotFoundError: There is no such job in the caller's account.
            ValidationError: The job has COMPLETED or FAILED.
        """
        name = request.compilation_job_name
        found = stop_job(
            self._context,
            compilation_jobs,
            account_id=caller.account_id,
            name=name,
            kind="compilation job",
            columns=lambda target: {"ended_at": self._context.clock() if target in FINAL else None},
        )
        if not found:
            raise _not_found(name)

    def delete(self, caller: Caller, request: DeleteCompilationJobRequest) -> None:
        """Delete a job that has ended, with its tags; what it wrote to S3 stays.

        Raises:
            ResourceNotFoundError: There is no such job in the caller's account.
            ResourceInUseError: The job has not ended.
        """
        name = request.compilation_job_name
        with self._context.database.write() as connection:
            job = compilation_jobs.named(connection, caller.account_id, name)
            if job is None:
                raise _not_found(name)
            if not compilation_jobs.delete(connection, job.id, expected=FINAL):
                raise ResourceInUseError(
                    f"Compilation job {name!r} is {job.status}; only a job that has ended can be deleted.",
                    advice="Stop it first with StopCompilationJob.",
                )
            tags.remove_all(connection, job.arn)

    def _insert(self, caller: Caller, request: CreateCompilationJobRequest, arn: str) -> None:
        now, workflow_id = self._context.clock(), new_workflow_id()
        with self._context.database.write() as connection:
            require_room(
                connection,
                compilation_jobs,
                caller.account_id,
                kind="compilation job",
                at_most=self._context.active_jobs_max,
            )
            job = compilation_jobs.insert(
                connection,
                {
                    "account_id": caller.account_id,
                    "name": request.compilation_job_name,
                    "arn": arn,
                    "status": STARTING,
                    "request": msgspec.json.encode(request),
                    "created_at": now,
                    "modified_at": now,
                    "workflow_id": workflow_id,
                    "turn": next_turn(connection, compilation_jobs, caller.account_id),
                },
            )
            put_new_tags(connection, arn, request.tags or [])
            _claim(connection, target_of(request), arn)
            self._context.work.enqueue(
                connection,
                workflow=COMPILATION_WORKFLOW,
                queue=COMPILATION_QUEUE,
                workflow_id=workflow_id,
                job_id=job.id,
                turn=job.turn,
            )
            note(workflow_id=workflow_id)


def _check(request: CreateCompilationJobRequest) -> None:
    if request.model_package_version_arn is not None:
        raise ValidationError(
            "ModelPackageVersionArn is not supported: there is no model registry here.",
            advice="Give the model in InputConfig.S3Uri.",
        )
    if request.input_config is None:
        raise ValidationError("InputConfig is required.")
    output = request.output_config
    if (output.target_device is None) == (output.target_platform is None):
        raise ValidationError("Exactly one of OutputConfig.TargetDevice and OutputConfig.TargetPlatform is required.")
    target_of(request)  # which needs a source, a location, a target and options that can be read


def _claim(connection: Connection, target: S3Address, arn: str) -> None:
    if not outputs.claim(connection, target.place, arn):
        raise ResourceInUseError(
            f"Another job is writing {target} at this moment.",
            advice="Wait until it ends, stop it, or choose another output location.",
        )


def _not_found(name: str) -> ResourceNotFoundError:
    return ResourceNotFoundError(f"Could not find compilation job with name {name!r}.")
