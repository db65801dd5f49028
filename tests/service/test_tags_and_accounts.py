"""Tags, identities, temporary credentials, and walls between accounts."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from driving import client_with, compiled, create_packaging, describe_packaging, key_of, packaged
from harness import RunningServer

pytestmark = pytest.mark.server

OTHER_ACCOUNT = "111111111111"


@pytest.fixture(scope="module")
def job(server: RunningServer) -> dict[str, Any]:
    compiled(server, "tag-source")
    return packaged(server, "tagged", "tag-source", Tags=[{"Key": "team", "Value": "edge"}])


def tags_of(client: Any, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in client.list_tags(ResourceArn=arn)["Tags"]}


def test_tags_come_and_go(server: RunningServer, job: dict[str, Any]) -> None:
    client, arn = server.client("sagemaker"), job["EdgePackagingJobArn"]
    assert tags_of(client, arn) == {"team": "edge"}
    added = client.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "new"}, {"Key": "Größe", "Value": ""}])
    assert {tag["Key"] for tag in added["Tags"]} == {"team", "Größe"}
    assert tags_of(client, arn) == {"team": "new", "Größe": ""}
    client.delete_tags(ResourceArn=arn, TagKeys=["Größe", "never-there"])
    assert tags_of(client, arn) == {"team": "new"}
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "edge"}])


def test_a_resource_has_at_most_fifty_tags(server: RunningServer) -> None:
    client = server.client("sagemaker")
    arn = compiled(server, "fifty")["CompilationJobArn"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": f"k{number:02}", "Value": "v"} for number in range(50)])
    with pytest.raises(ClientError, match="at most 50"):
        client.add_tags(ResourceArn=arn, Tags=[{"Key": "one-more", "Value": "v"}])
    assert len(tags_of(client, arn)) == 50


@pytest.mark.parametrize("tags", [[("a", "1"), ("a", "2")], [("aws:mine", "x")]])
def test_tags_that_aws_refuses(server: RunningServer, job: dict[str, Any], tags: list[tuple[str, str]]) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        server.client("sagemaker").add_tags(
            ResourceArn=job["EdgePackagingJobArn"], Tags=[{"Key": key, "Value": value} for key, value in tags]
        )


def test_tags_of_what_is_not_there(server: RunningServer) -> None:
    with pytest.raises(ClientError, match="ResourceNotFound"):
        server.client("sagemaker").list_tags(
            ResourceArn="arn:aws:sagemaker:us-east-1:000000000000:edge-packaging-job/nobody"
        )


@pytest.fixture(scope="module")
def other_key(server: RunningServer) -> tuple[str, str]:
    return key_of(server, OTHER_ACCOUNT)


def test_another_account_sees_and_touches_nothing(
    server: RunningServer, job: dict[str, Any], other_key: tuple[str, str]
) -> None:
    other = client_with(server, "sagemaker", other_key)
    assert other.list_edge_packaging_jobs()["EdgePackagingJobSummaries"] == []
    assert other.list_compilation_jobs()["CompilationJobSummaries"] == []
    arn = job["EdgePackagingJobArn"]
    attempts: list[Callable[[], Any]] = [
        lambda: other.describe_edge_packaging_job(EdgePackagingJobName="tagged"),
        lambda: other.stop_edge_packaging_job(EdgePackagingJobName="tagged"),
        lambda: other.describe_compilation_job(CompilationJobName="tag-source"),
        lambda: other.delete_compilation_job(CompilationJobName="tag-source"),
        lambda: other.list_tags(ResourceArn=arn),
        lambda: other.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}]),
        lambda: other.delete_tags(ResourceArn=arn, TagKeys=["team"]),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError, match="ResourceNotFound"):
            attempt()
    with pytest.raises(ClientError, match="Could not find compilation job"):
        other.create_edge_packaging_job(
            EdgePackagingJobName="theft",
            CompilationJobName="tag-source",
            ModelName="m",
            ModelVersion="1",
            RoleArn=f"arn:aws:iam::{OTHER_ACCOUNT}:role/thief",
            OutputConfig={"S3OutputLocation": "s3://models/theft"},
        )


def test_a_name_is_an_account_s_own(server: RunningServer, other_key: tuple[str, str]) -> None:
    other = client_with(server, "sagemaker", other_key)
    compiled(server, "same-name")
    other.create_compilation_job(
        CompilationJobName="same-name",
        RoleArn=f"arn:aws:iam::{OTHER_ACCOUNT}:role/mine",
        InputConfig={"S3Uri": "s3://models/none.tar.gz", "Framework": "ONNX"},
        OutputConfig={"S3OutputLocation": "s3://models/o", "TargetDevice": "ml_c5"},
        StoppingCondition={},
    )
    described = other.describe_compilation_job(CompilationJobName="same-name")
    assert described["CompilationJobArn"] == f"arn:aws:sagemaker:us-east-1:{OTHER_ACCOUNT}:compilation-job/same-name"


def test_who_am_i(server: RunningServer) -> None:
    identity = server.client("sts").get_caller_identity()
    assert identity["Account"] == "000000000000"
    assert identity["Arn"] == "arn:aws:iam::000000000000:user/admin"
    assert identity["UserId"].startswith("AIDA")


def test_temporary_credentials_work_and_only_with_their_token(server: RunningServer, job: dict[str, Any]) -> None:
    sts = server.client("sts")
    answer = sts.assume_role(
        RoleArn="arn:aws:iam::000000000000:role/team/packager", RoleSessionName="me", DurationSeconds=900
    )
    given = answer["Credentials"]
    assert answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts::000000000000:assumed-role/packager/me"
    key = (given["AccessKeyId"], given["SecretAccessKey"])
    session = client_with(server, "sagemaker", key, given["SessionToken"])
    assert session.describe_edge_packaging_job(EdgePackagingJobName="tagged")["EdgePackagingJobName"] == "tagged"
    assert client_with(server, "sts", key, given["SessionToken"]).get_caller_identity()["Arn"].endswith("packager/me")
    for token in (None, given["SessionToken"][:-2] + "xx"):
        with pytest.raises(ClientError, match="UnrecognizedClientException|InvalidClientTokenId|security token"):
            client_with(server, "sagemaker", key, token).list_edge_packaging_jobs()


def test_a_role_of_another_account_is_denied(server: RunningServer) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        server.client("sts").assume_role(RoleArn=f"arn:aws:iam::{OTHER_ACCOUNT}:role/x", RoleSessionName="me")


def test_a_session_policy_is_refused_because_it_would_not_bind(server: RunningServer) -> None:
    with pytest.raises(ClientError, match="Not supported by this server: Policy"):
        server.client("sts").assume_role(
            RoleArn="arn:aws:iam::000000000000:role/x", RoleSessionName="me", Policy='{"Version": "2012-10-17"}'
        )


def test_a_wrong_secret_is_an_invalid_signature(server: RunningServer) -> None:
    key = (server.environment["AWS_ACCESS_KEY_ID"], "x" * 40)
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        client_with(server, "sagemaker", key).list_edge_packaging_jobs()


def test_an_operation_that_is_not_here_is_named(server: RunningServer) -> None:
    with pytest.raises(ClientError, match="UnknownOperationException.*CreateDeviceFleet"):
        server.client("sagemaker").create_device_fleet(
            DeviceFleetName="f", OutputConfig={"S3OutputLocation": "s3://models/f"}
        )


def test_a_job_of_one_account_does_not_fail_for_its_tags(server: RunningServer) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        create_packaging(server, "bad-tags", "tag-source", Tags=[{"Key": "aws:x", "Value": "y"}])
    with pytest.raises(ClientError, match="ResourceNotFound"):
        describe_packaging(server, "bad-tags")
