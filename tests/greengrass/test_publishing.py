"""Publishing a component version: once per job, never over another job's, and no failure that fails the job."""

import json

import pytest
import sqlalchemy as sa

from edgepack.contract.edge_packaging_jobs import EdgePresetDeploymentOutput
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.records import CompiledModel, EdgePackagingJob
from edgepack.database.schema import component_versions
from edgepack.jobs.attempt import Attempt, JobSupersededError
from edgepack.jobs.presets import preset_of, publish_component
from rows import packaging_row

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/edge"
COMPONENT = {"ComponentName": "com.example.model", "ComponentVersion": "1.2.3"}
ARN = f"arn:aws:greengrass:eu-west-1:{ACCOUNT}:components:com.example.model:versions:1.2.3"


COMPILED = CompiledModel(
    artifact_uri="s3://b/compiled/m.tar.gz", artifact_etag="etag", target_device="jetson_nano", target_platform=None
)


def packaging_job(database: Database, name: str, account: str = ACCOUNT) -> Attempt[EdgePackagingJob]:
    """The only attempt at a job of this name, which is made if need be."""
    with database.write() as connection:
        job = edge_packaging_jobs.named(connection, account, name) or edge_packaging_jobs.insert(
            connection,
            packaging_row(
                name, account_id=account, region="eu-west-1", status="INPROGRESS", output_key=f"p/{account}/{name}"
            ),
        )
    attempt = Attempt(database, edge_packaging_jobs, lambda: 7, job_id=job.id, number=1)
    attempt.refresh()
    return attempt


def publish(attempt: Attempt[EdgePackagingJob], *, uri: str = "s3://b/p/m1-1.0.tar.gz") -> EdgePresetDeploymentOutput:
    preset = preset_of(json.dumps(COMPONENT), job_name=attempt.job.name, compiled=COMPILED)
    return publish_component(attempt, preset, artifact_uri=uri)


def stored(database: Database) -> list[sa.RowMapping]:
    with database.read() as connection:
        return list(connection.execute(sa.select(component_versions)).mappings())


def test_the_component_is_the_accounts_own(database: Database) -> None:
    output = publish(packaging_job(database, "one"))
    assert (output.type, output.status, output.artifact) == ("GreengrassV2Component", "COMPLETED", ARN)
    assert output.status_message
    (row,) = stored(database)
    assert (row["arn"], row["account_id"], row["source_arn"]) == (ARN, ACCOUNT, packaging_job(database, "one").job.arn)
    recipe = json.loads(row["recipe"])
    assert (recipe["ComponentName"], recipe["ComponentVersion"]) == ("com.example.model", "1.2.3")
    assert recipe["Manifests"][0]["Platform"] == {"os": "linux", "architecture": "aarch64", "runtime": "*"}
    assert recipe["Manifests"][0]["Artifacts"][0]["Uri"] == "s3://b/p/m1-1.0.tar.gz"


def test_publishing_again_gives_one_result(database: Database) -> None:
    first = publish(packaging_job(database, "one"))
    rows = stored(database)
    assert publish(packaging_job(database, "one")) == first
    assert stored(database) == rows


def test_another_jobs_version_stays(database: Database) -> None:
    publish(packaging_job(database, "one"))
    rows = stored(database)
    output = publish(packaging_job(database, "two"))
    assert (output.status, output.artifact) == ("FAILED", None)
    assert output.status_message is not None
    for words in ("com.example.model", "1.2.3", "exists already", "another ComponentVersion"):
        assert words in output.status_message
    assert stored(database) == rows


def test_accounts_do_not_meet(database: Database) -> None:
    publish(packaging_job(database, "one"))
    assert publish(packaging_job(database, "one", account="210987654321")).status == "COMPLETED"
    assert len(stored(database)) == 2


def test_a_recipe_too_large_fails_the_preset_alone(database: Database) -> None:
    output = publish(packaging_job(database, "one"), uri=f"s3://b/{'p' * 8_000}/m1-1.0.tar.gz")
    assert output.status == "FAILED"
    assert output.status_message is not None
    assert "Shorten" in output.status_message
    assert stored(database) == []


def test_an_attempt_that_was_superseded_publishes_nothing(database: Database) -> None:
    former = packaging_job(database, "one")
    with database.write() as connection:
        edge_packaging_jobs.begin_attempt(
            connection, after=former.job.workflow_id, workflow_id="w2", died=True, statuses={"INPROGRESS"}
        )
    with pytest.raises(JobSupersededError):
        publish(former)
    assert stored(database) == []
