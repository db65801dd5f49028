"""Refusals, in AWS's words, and all at once."""

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.contract.arns import (
    compilation_job_arn,
    component_version_arn,
    edge_packaging_job_arn,
    parse_arn,
)
from edgepack.contract.edge_packaging_jobs import (
    CreateEdgePackagingJobRequest,
    DescribeEdgePackagingJobRequest,
    ListEdgePackagingJobsRequest,
)
from edgepack.contract.security_tokens import AssumeRoleRequest, Credentials
from edgepack.contract.tags import ListTagsInput
from edgepack.contract.validation import check_request, decode_request
from edgepack.errors import SerializationError, ValidationError

GOOD: dict[str, Any] = {
    "EdgePackagingJobName": "job",
    "CompilationJobName": "compiled",
    "ModelName": "model",
    "ModelVersion": "1.0",
    "RoleArn": "arn:aws:iam::000000000000:role/packager",
    "OutputConfig": {"S3OutputLocation": "s3://bucket/out"},
}


def refused(members: object, shape: Any = CreateEdgePackagingJobRequest) -> str:
    with pytest.raises(ValidationError) as caught:
        decode_request(json.dumps(members).encode(), shape)
    return caught.value.message


def test_the_good_request_is_good() -> None:
    request = decode_request(json.dumps(GOOD).encode(), CreateEdgePackagingJobRequest)
    assert request.output_config.s3_output_location == "s3://bucket/out"
    assert request.tags is None


def test_all_missing_members_are_named_at_once() -> None:
    message = refused({})
    assert message.startswith("6 validation errors detected: ")
    for name in ("edgePackagingJobName", "compilationJobName", "modelName", "modelVersion", "roleArn", "outputConfig"):
        assert f"Value null at '{name}' failed to satisfy constraint: Member must not be null" in message


def test_one_fault_is_one_error() -> None:
    assert refused(GOOD | {"ModelName": "a b"}) == (
        "1 validation error detected: Value 'a b' at 'modelName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_faults_of_every_kind_are_listed_together() -> None:
    message = refused(
        GOOD
        | {
            "EdgePackagingJobName": "x" * 64,
            "RoleArn": "short",
            "OutputConfig": {"S3OutputLocation": "ftp://x", "PresetDeploymentType": "Lambda"},
            "Tags": [{"Key": "", "Value": "v"}, {"Key": "k"}],
        }
    )
    assert message.startswith("8 validation errors detected: ")
    assert (
        "at 'edgePackagingJobName' failed to satisfy constraint: Member must have length less than or equal to 63"
        in message
    )
    assert "at 'roleArn' failed to satisfy constraint: Member must have length greater than or equal to 20" in message
    assert (
        "at 'outputConfig.s3OutputLocation' failed to satisfy constraint: Member must satisfy regular expression"
        in message
    )
    assert "Member must satisfy enum value set: [GreengrassV2Component]" in message
    assert "Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater" in message
    assert "Value null at 'tags.2.member.value' failed to satisfy constraint: Member must not be null" in message


def test_an_unknown_member_is_refused_by_name_wherever_it_stands() -> None:
    assert "Value '1' at 'enableIotRoleAlias' failed" in refused(GOOD | {"EnableIotRoleAlias": 1})
    nested = GOOD | {"OutputConfig": {"S3OutputLocation": "s3://b/", "S3outputLocation": None}}
    assert "Value null at 'outputConfig.s3outputLocation' failed" in refused(nested)


def test_numbers_have_ranges() -> None:
    assert "Member must have value less than or equal to 100" in refused(
        {"MaxResults": 101}, ListEdgePackagingJobsRequest
    )
    tags = {"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:x/y", "MaxResults": 49}
    assert "Member must have value greater than or equal to 50" in refused(tags, ListTagsInput)


def test_null_is_absent() -> None:
    assert decode_request(b'{"NextToken": null}', ListEdgePackagingJobsRequest) == ListEdgePackagingJobsRequest()


def test_an_empty_body_is_an_empty_structure() -> None:
    assert decode_request(b"", ListEdgePackagingJobsRequest) == ListEdgePackagingJobsRequest()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b'{"EdgePackagingJobName": "a"} x', "not valid JSON"),
        (b"[" * 100_000, "The body"),
        (b"[]", "The request must be a structure, not a list"),
        (b"null", "The request must be a structure, not null"),
        (b'{"EdgePackagingJobName": 5}', "'edgePackagingJobName' must be a string, not a number"),
        (b'{"EdgePackagingJobName": true}', "'edgePackagingJobName' must be a string, not a boolean"),
        (b'{"EdgePackagingJobName": {"a": 1}}', "'edgePackagingJobName' must be a string, not a structure"),
    ],
)
def test_what_is_not_the_shape_is_a_serialization_error(body: bytes, says: str) -> None:
    with pytest.raises(SerializationError, match=re.escape(says)):
        decode_request(body, DescribeEdgePackagingJobRequest)


@pytest.mark.parametrize(
    "body",
    [
        b'{"NextToken": "a", "NextToken": "b"}',
        b'{"NextToken": "a", "Next\\u0054oken": "a"}',
        b'{"NextToken": null, "MaxResults": 5, "NextToken": "b"}',
    ],
)
def test_a_member_that_is_there_twice_is_refused(body: bytes) -> None:
    with pytest.raises(SerializationError, match="'NextToken' is there twice"):
        decode_request(body, ListEdgePackagingJobsRequest)


def test_a_member_that_is_there_twice_is_refused_below_too() -> None:
    body = json.dumps(GOOD).encode().replace(b'"S3Out', b'"S3OutputLocation": "s3://b/o", "S3Out')
    with pytest.raises(SerializationError, match="'S3OutputLocation' is there twice"):
        decode_request(body, CreateEdgePackagingJobRequest)


@pytest.mark.parametrize("name", ["a\n", "é", "a_b", "-a", "a-", "", "a" * 64, "a\x00"])
def test_a_name_that_aws_refuses_is_refused(name: str) -> None:
    refused({"EdgePackagingJobName": name}, DescribeEdgePackagingJobRequest)


@pytest.mark.parametrize("account", ["\N{ARABIC-INDIC DIGIT ZERO}" * 12, "0" * 11])
def test_digits_are_ascii(account: str) -> None:
    assert "at 'roleArn'" in refused(GOOD | {"RoleArn": f"arn:aws:iam::{account}:role/packager"})


def test_tags_take_the_letters_of_the_world() -> None:
    tagged = GOOD | {"Tags": [{"Key": "Größe 大", "Value": "٣ _.:/=+-@"}]}
    request = decode_request(json.dumps(tagged).encode(), CreateEdgePackagingJobRequest)
    assert request.tags is not None
    assert request.tags[0].key == "Größe 大"
    assert "tags.1.member.value" in refused(GOOD | {"Tags": [{"Key": "k", "Value": "a\tb"}]})


def test_a_long_refused_value_is_cut_in_the_message() -> None:
    assert len(refused(GOOD | {"ModelName": "x" * 500_000})) < 600


def test_a_text_that_would_make_a_pattern_slow_is_refused_by_its_length_alone() -> None:
    message = refused(GOOD | {"OutputConfig": {"S3OutputLocation": "s3://" + "a" * 900_000 + "\n"}})
    assert "Member must have length less than or equal to 1024" in message
    assert "pattern" not in message


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda each: (
            st.lists(each)
            | st.dictionaries(st.sampled_from(["RoleArn", "Tags", "OutputConfig", "x"]) | st.text(), each)
        ),
    )
)
def test_no_json_gets_anything_but_an_answer_or_a_typed_refusal(value: object) -> None:
    with contextlib.suppress(SerializationError, ValidationError):
        decode_request(json.dumps(value).encode(), CreateEdgePackagingJobRequest)


def test_the_query_protocol_s_numbers_are_numbers() -> None:
    members = {"RoleArn": "arn:aws:iam::000000000000:role/x", "RoleSessionName": "me", "DurationSeconds": "900"}
    assert check_request(members, AssumeRoleRequest).duration_seconds == 900
    with pytest.raises(SerializationError, match="must be a whole number"):
        check_request(members | {"DurationSeconds": "soon"}, AssumeRoleRequest)
    with pytest.raises(ValidationError, match="greater than or equal to 900"):
        check_request(members | {"DurationSeconds": "899"}, AssumeRoleRequest)


def test_credentials_do_not_show_their_secrets() -> None:
    shown = repr(
        Credentials(access_key_id="ASIA" + "X" * 16, secret_access_key="s3cret", session_token="t0ken", expiration=1.0)
    )
    assert "s3cret" not in shown
    assert "t0ken" not in shown


def test_arns_come_apart_as_they_were_put_together() -> None:
    for build, kind in ((edge_packaging_job_arn, "edge-packaging-job"), (compilation_job_arn, "compilation-job")):
        parsed = parse_arn(build("us-east-1", "123456789012", "a-name"))
        assert parsed is not None
        assert (parsed.region, parsed.account_id, parsed.kind, parsed.name) == (
            "us-east-1",
            "123456789012",
            kind,
            "a-name",
        )
    assert component_version_arn("us-east-1", "123456789012", "com.a", "1.0.0") == (
        "arn:aws:greengrass:us-east-1:123456789012:components:com.a:versions:1.0.0"
    )
    assert parse_arn("arn:aws:s3:::bucket") is None
