"""The service's rules without a server: a database, a queue, and nobody who works."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from driving import packaging_request
from edgepack.contract.compilation_jobs import CreateCompilationJobRequest, StopCompilationJobRequest
from edgepack.contract.edge_packaging_jobs import CreateEdgePackagingJobRequest
from edgepack.contract.validation import check_request
from edgepack.database import outputs
from edgepack.database.compilation_jobs import compilation_jobs
from edgepack.database.engine import Database
from edgepack.database.migrate import upgrade
from edgepack.errors import ResourceInUseError, ResourceLimitExceededError, ValidationError
from edgepack.jobs.engine import WorkQueue, migrate_engine
from edgepack.jobs.replacing import replace_holder
from edgepack.keys.sealing import SecretBox
from edgepack.service.caller import Caller
from edgepack.service.context import Context
from edgepack.service.operations import Operations
from edgepack.service.registry import build_operations
from harness import ROLE

CALLER = Caller("000000000000", "us-east-1", "arn:aws:iam::000000000000:user/admin", "AIDA", "AKIA")
OTHER = Caller("111111111111", "us-east-1", "arn:aws:iam::111111111111:user/admin", "AIDA", "AKIA")


@dataclass
class Service:
    """The operations, and what they work with."""

    operations: Operations
    context: Context

    def compilation(self, name: str, **changes: str) -> None:
        self.operations["CreateCompilationJob"].call(CALLER, compilation(name, **changes))

    def compiled(self, name: str, artifact: str) -> None:
        """A compilation job that has COMPLETED."""
        self.compilation(name)
        with self.context.database.write() as connection:
            job = compilation_jobs.named(connection, CALLER.account_id, name)
            assert job is not None
            compilation_jobs.change(
                connection, job.id, expected={"STARTING"}, status="COMPLETED", artifact_uri=artifact
            )
            outputs.release(connection, job.arn)

    def packaging(self, name: str, compiled: str, **changes: Any) -> None:
        request = check_request(packaging_request(name, compiled, **changes), CreateEdgePackagingJobRequest)
        self.operations["CreateEdgePackagingJob"].call(CALLER, request)


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """A service with room for two active jobs of each kind."""
    database = Database(database_url)
    upgrade(database)
    migrate_engine(database_url)
    work = WorkQueue(database)
    context = Context(
        database=database,
        work=work,
        secrets=SecretBox.open(tmp_path),
        region="us-east-1",
        clock=lambda: 1_000_000,
        active_jobs_max=2,
    )
    yield Service(build_operations(context), context)
    work.close()
    database.close()


def compilation(name: str, *, location: str | None = None) -> CreateCompilationJobRequest:
    return check_request(
        {
            "CompilationJobName": name,
            "RoleArn": ROLE,
            "InputConfig": {"S3Uri": "s3://models/m.tar.gz", "Framework": "ONNX"},
            "OutputConfig": {"S3OutputLocation": location or f"s3://models/{name}", "TargetDevice": "ml_c5"},
            "StoppingCondition": {},
        },
        CreateCompilationJobRequest,
    )


def test_an_account_has_its_share_and_no_other_s(service: Service) -> None:
    create = service.operations["CreateCompilationJob"].call
    create(CALLER, compilation("one"))
    create(CALLER, compilation("two"))
    with pytest.raises(ResourceLimitExceededError, match="2 compilation jobs"):
        create(CALLER, compilation("three"))
    create(OTHER, compilation("three", location="s3://theirs/out"))
    stop(service, "one")
    create(CALLER, compilation("three"))


def stop(service: Service, name: str) -> None:
    request = StopCompilationJobRequest(compilation_job_name=name)
    service.operations["StopCompilationJob"].call(CALLER, request)


def test_a_compilation_job_that_has_not_finished_cannot_be_packaged(service: Service) -> None:
    service.compilation("unfinished")
    with pytest.raises(ValidationError, match="'unfinished' is STARTING; .* COMPLETED"):
        service.packaging("early", "unfinished")


def test_a_compiled_model_that_was_replaced_cannot_be_packaged(service: Service) -> None:
    for name in ("one", "two"):
        service.compiled(name, "s3://models/out/m.tar.gz")
        with service.context.database.write() as connection:
            job = compilation_jobs.named(connection, CALLER.account_id, name)
            assert job is not None
            assert outputs.claim(connection, "models/out/m.tar.gz", job.arn)
            replace_holder(connection, "models/out/m.tar.gz", by=job.arn, stands=True, now=2)
            outputs.release(connection, job.arn)
    with pytest.raises(ValidationError, match="'one' has nothing to package any more. .*compilation-job/two wrote"):
        service.packaging("late", "one")
    service.packaging("right", "two")


def test_a_job_that_is_stopped_before_it_began_leaves_the_queue(service: Service) -> None:
    service.compilation("one")
    stop(service, "one")
    with service.context.database.read() as connection:
        job = compilation_jobs.named(connection, CALLER.account_id, "one")
    assert job is not None
    assert job.status == "STOPPED"
    assert [found.status for found in service.context.work.ended_among([job.workflow_id])] == ["CANCELLED"]


SAME_PLACE = ["s3://models/out", "s3://models/out/", "s3://models//out", "s3://models/out//"]
"""As the embedded store sees them, which takes several slashes for one."""


@pytest.mark.parametrize("location", SAME_PLACE)
def test_two_compilation_jobs_do_not_write_to_one_place_at_once(service: Service, location: str) -> None:
    service.compilation("one", location="s3://models/out")
    with pytest.raises(ResourceInUseError, match="Another job is writing"):
        service.compilation("two", location=location)
    stop(service, "one")
    service.compilation("two", location=location)


@pytest.mark.parametrize("location", SAME_PLACE)
def test_two_packaging_jobs_do_not_write_to_one_place_at_once(service: Service, location: str) -> None:
    service.compiled("compiled", "s3://models/compiled/m.tar.gz")
    service.packaging("one", "compiled", ModelName="m", OutputConfig={"S3OutputLocation": "s3://models/out"})
    with pytest.raises(ValidationError, match="Another job is writing"):
        service.packaging("two", "compiled", ModelName="m", OutputConfig={"S3OutputLocation": location})


def test_a_packaging_job_does_not_write_where_a_compilation_job_does(service: Service) -> None:
    service.compiled("compiled", "s3://models/elsewhere/m.tar.gz")
    service.compilation("one", location="s3://models/out")
    changes = {"ModelName": "m", "ModelVersion": "ml_c5", "OutputConfig": {"S3OutputLocation": "s3://models/out"}}
    with pytest.raises(ValidationError, match=r"Another job is writing s3://models/out/m-ml_c5\.tar\.gz"):
        service.packaging("package", "compiled", **changes)


@pytest.mark.parametrize("location", SAME_PLACE)
def test_a_package_does_not_replace_what_it_is_made_of(service: Service, location: str) -> None:
    service.compiled("compiled", "s3://models/out/m-1.0.tar.gz")
    with pytest.raises(ValidationError, match="would replace the compiled model"):
        service.packaging("package", "compiled", ModelName="m", OutputConfig={"S3OutputLocation": location})


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"InputConfig": {"S3Uri": "s3://models/in/", "Framework": "ONNX"}}, "names no object"),
        ({"InputConfig": {"S3Uri": f"s3://models/{'k' * 1000}.tar.gz", "Framework": "ONNX"}}, "the limit is 1024"),
    ],
)
def test_what_no_job_could_do_is_refused_at_once(service: Service, members: dict[str, Any], says: str) -> None:
    request = {
        "CompilationJobName": "c",
        "RoleArn": ROLE,
        "OutputConfig": {"S3OutputLocation": f"s3://models/{'o' * 200}", "TargetDevice": "ml_c5"},
        "StoppingCondition": {},
    }
    with pytest.raises(ValidationError, match=says):
        service.operations["CreateCompilationJob"].call(
            CALLER, check_request(request | members, CreateCompilationJobRequest)
        )
