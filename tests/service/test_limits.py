"""The service's rules without a server: a database, a queue, and nobody who works."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import packaging_request
from edgepack.contract.compilation_jobs import CreateCompilationJobRequest, StopCompilationJobRequest
from edgepack.contract.edge_packaging_jobs import CreateEdgePackagingJobRequest
from edgepack.contract.validation import check_request
from edgepack.database.engine import Database
from edgepack.database.migrate import upgrade
from edgepack.errors import ResourceLimitExceededError, ValidationError
from edgepack.jobs.engine import WorkQueue, migrate_engine
from edgepack.keys.sealing import SecretBox
from edgepack.service.caller import Caller
from edgepack.service.context import Context
from edgepack.service.operations import Operations
from edgepack.service.registry import build_operations
from harness import ROLE

CALLER = Caller("000000000000", "us-east-1", "arn:aws:iam::000000000000:user/admin", "AIDA", "AKIA")
OTHER = Caller("111111111111", "us-east-1", "arn:aws:iam::111111111111:user/admin", "AIDA", "AKIA")


@pytest.fixture
def operations(tmp_path: Path) -> Iterator[Operations]:
    """All operations, with room for two active jobs of each kind."""
    url = f"sqlite:///{tmp_path / 'edgepack.db'}"
    database = Database(url)
    upgrade(database)
    migrate_engine(url)
    work = WorkQueue(url)
    context = Context(
        database=database,
        work=work,
        secrets=SecretBox.open(tmp_path),
        region="us-east-1",
        clock=lambda: 1_000_000,
        active_jobs_max=2,
    )
    yield build_operations(context)
    work.close()
    database.close()


def compilation(name: str) -> CreateCompilationJobRequest:
    return check_request(
        {
            "CompilationJobName": name,
            "RoleArn": ROLE,
            "InputConfig": {"S3Uri": "s3://models/m.tar.gz", "Framework": "ONNX"},
            "OutputConfig": {"S3OutputLocation": "s3://models/out", "TargetDevice": "ml_c5"},
            "StoppingCondition": {},
        },
        CreateCompilationJobRequest,
    )


def test_an_account_has_its_share_and_no_other_s(operations: Operations) -> None:
    create = operations["CreateCompilationJob"].call
    create(CALLER, compilation("one"))
    create(CALLER, compilation("two"))
    with pytest.raises(ResourceLimitExceededError, match="2 compilation jobs"):
        create(CALLER, compilation("three"))
    create(OTHER, compilation("three"))
    operations["StopCompilationJob"].call(CALLER, StopCompilationJobRequest(compilation_job_name="one"))
    create(CALLER, compilation("three"))


def test_a_compilation_job_that_has_not_finished_cannot_be_packaged(operations: Operations) -> None:
    operations["CreateCompilationJob"].call(CALLER, compilation("unfinished"))
    request = check_request(packaging_request("early", "unfinished"), CreateEdgePackagingJobRequest)
    with pytest.raises(ValidationError, match="'unfinished' is STARTING; .* COMPLETED"):
        operations["CreateEdgePackagingJob"].call(CALLER, request)
