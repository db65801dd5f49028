"""Answers and refusals as they go over the wire, in each protocol, read as an SDK reads them."""

import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from botocore.parsers import QueryParser

from contract.aws_models import operation_model
from edgepack import __version__, errors
from edgepack.contract.edge_packaging_jobs import ListEdgePackagingJobsResponse
from edgepack.contract.security_tokens import GetCallerIdentityResponse
from edgepack.database.engine import DatabaseUnavailableError
from edgepack.service.operations import Operations
from wire.api import Api, handler, raising, running

NAMED = {"EdgePackagingJobName": "a-job"}
STORED = b'{"EdgePackagingJobName":"a-job","EdgePackagingJobStatus":"COMPLETED"}'


def operations() -> Operations:
    return {
        "DescribeEdgePackagingJob": handler(lambda _caller, _request: msgspec.Raw(STORED), inline=True),
        "StopEdgePackagingJob": handler(lambda _caller, _request: None),
        "ListEdgePackagingJobs": handler(
            lambda _caller, _request: ListEdgePackagingJobsResponse(edge_packaging_job_summaries=[])
        ),
        "GetCallerIdentity": handler(
            lambda caller, _request: GetCallerIdentityResponse(
                account=caller.account_id, arn="arn:aws:iam::000000000000:user/<&>"
            )
        ),
    }


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with running(operations()) as started:
        yield started


def test_an_operation_without_an_output_answers_nothing_at_all(api: Api) -> None:
    answer = api.call("StopEdgePackagingJob", NAMED)
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"


def test_an_answer_that_is_stored_is_sent_as_it_is(api: Api) -> None:
    answer = api.call("DescribeEdgePackagingJob", NAMED)
    assert (answer.status, answer.body) == (200, STORED)


def test_an_answer_is_encoded(api: Api) -> None:
    assert api.call("ListEdgePackagingJobs").json == {"EdgePackagingJobSummaries": []}


def test_every_answer_has_an_id_of_its_own(api: Api) -> None:
    ids = {api.call("StopEdgePackagingJob", NAMED).headers["x-amzn-requestid"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.ValidationError("no"), 400, "ValidationException"),
        (errors.ResourceNotFoundError("no"), 400, "ResourceNotFound"),
        (errors.ResourceInUseError("no"), 400, "ResourceInUse"),
        (errors.ResourceLimitExceededError("no"), 400, "ResourceLimitExceeded"),
        (errors.AccessDeniedError("no"), 403, "AccessDeniedException"),
        (errors.ThrottlingError("no"), 400, "ThrottlingException"),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_an_error_of_the_caller_s_is_told(error: errors.EdgepackError, status: int, code: str) -> None:
    with running({"StopEdgePackagingJob": raising(error)}) as api:
        answer = api.call("StopEdgePackagingJob", NAMED)
    assert (answer.status, answer.code, answer.headers["x-amzn-errortype"]) == (status, code, code)
    assert answer.json["message"] == error.diagnostics()
    assert ("retry-after" in answer.headers) == (code == "ThrottlingException")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ZeroDivisionError("the secret of it"), 500, "InternalFailure"),
        (StopIteration("the secret of it"), 500, "InternalFailure"),
        (errors.StateError("the secret of it"), 500, "InternalFailure"),
        (DatabaseUnavailableError("the secret of it"), 503, "ServiceUnavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_of_the_server_s_is_logged_and_not_told(
    error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running({"StopEdgePackagingJob": raising(error)}) as api, caplog.at_level(logging.ERROR):
        answer = api.call("StopEdgePackagingJob", NAMED)
    assert (answer.status, answer.code) == (status, code)
    assert b"the secret of it" not in answer.body
    assert "the secret of it" in caplog.text
    assert answer.headers["x-amzn-requestid"] in caplog.text
    assert ("Traceback" in caplog.text) == (status == 500)
    assert answer.headers["x-amzn-requestid"] in answer.json["message"]


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("SageMaker.DescribeModel", "has the operation DescribeModel, but it is not implemented here"),
        ("SageMaker.DescribeEverything", "has no operation 'DescribeEverything'"),
        ("TrentService.Encrypt", "AWS KMS has the operation Encrypt"),
        ("DynamoDB_20120810.GetItem", "the targets known here are"),
        ("SageMaker", "has no operation ''"),
    ],
)
def test_an_operation_that_is_not_served(api: Api, target: str, says: str) -> None:
    service = "kms" if target.startswith("Trent") else "sagemaker"
    answer = api.send(api.request(target=target, body=b"{}", service=service))
    assert (answer.status, answer.code) == (400, "UnknownOperationException")
    assert says in answer.json["message"]


def test_a_target_goes_with_post(api: Api) -> None:
    answer = api.send(api.request(method="PUT", target="SageMaker.StopEdgePackagingJob", body=b"{}"))
    assert answer.code == "UnknownOperationException"


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000, b'{"EdgePackagingJobName": 1}'])
def test_a_body_that_is_not_the_operation_s_json(api: Api, body: bytes) -> None:
    answer = api.call("StopEdgePackagingJob", body)
    assert (answer.status, answer.code) == (400, "SerializationException")


def test_a_body_of_another_type(api: Api) -> None:
    request = api.request(target="SageMaker.StopEdgePackagingJob", headers={"Content-Type": "text/plain"}, body=b"{}")
    answer = api.send(request)
    assert answer.code == "SerializationException"
    assert "'text/plain'" in answer.json["message"]


def test_all_faults_are_told_at_once(api: Api) -> None:
    answer = api.call("ListEdgePackagingJobs", {"MaxResults": 101, "NameContains": "_", "Colour": "red"})
    assert answer.json["message"].startswith("3 validation errors detected: ")


def test_a_request_must_be_signed(api: Api) -> None:
    answer = api.send(b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: SageMaker.StopEdgePackagingJob\r\n\r\n")
    assert (answer.status, answer.code) == (403, "MissingAuthenticationTokenException")


def parsed(body: bytes, status: int) -> dict[str, Any]:
    """What botocore makes of an answer in the query protocol."""
    shape = operation_model("sts", "GetCallerIdentity").output_shape
    assert shape is not None
    found: dict[str, Any] = QueryParser().parse({"body": body, "headers": {}, "status_code": status}, shape)
    return found


def test_the_query_protocol_answers_xml(api: Api) -> None:
    answer = api.query(b"Action=GetCallerIdentity&Version=2011-06-15")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")
    found = parsed(answer.body, 200)
    assert found["Account"] == "000000000000"
    assert found["Arn"] == "arn:aws:iam::000000000000:user/<&>"
    assert found["ResponseMetadata"]["RequestId"] == answer.headers["x-amzn-requestid"]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (b"Action=GetCallerIdentity&Version=2000-01-01", "InvalidAction"),
        (b"Action=GetSessionToken&Version=2011-06-15", "InvalidAction"),
        (b"", "InvalidAction"),
        (b"Action=GetCallerIdentity&Action=AssumeRole&Version=2011-06-15", "MalformedInput"),
        (b"Action=GetCallerIdentity&Version=2011-06-15&Who=me", "ValidationError"),
        (b"Action=GetCallerIdentity&Version=2011-06-15&A.B=1&A=2", "MalformedInput"),
        (b"Action=%ff&Version=2011-06-15", "MalformedInput"),
        (b"Action", "MalformedInput"),
    ],
)
def test_the_query_protocol_refuses_in_xml(api: Api, form: bytes, code: str) -> None:
    answer = api.query(form)
    error = parsed(answer.body, answer.status)["Error"]
    assert (answer.status, error["Code"], error["Type"]) == (400, code, "Sender")
    assert error["Message"]


@pytest.mark.parametrize(
    ("method", "path", "service", "says"),
    [
        ("POST", "/SendHeartbeat", "sagemaker", "Amazon SageMaker Edge has the operation SendHeartbeat"),
        ("GET", "/greengrass/v2/components", "greengrass", "AWS IoT Greengrass V2 has the operation ListComponents"),
        ("GET", "/greengrass/v2/components/a%3Ab/artifacts/x/y", "greengrass", "GetComponentVersionArtifact"),
        ("GET", "/nothing/here", "sagemaker", "Nothing is served at GET '/nothing/here'"),
    ],
)
def test_a_path_without_a_handler_is_told_what_it_is(api: Api, method: str, path: str, service: str, says: str) -> None:
    answer = api.send(api.request(method=method, path=path, service=service))
    assert (answer.status, answer.code) == (404, "UnknownOperationException")
    assert says in answer.json["message"]


def test_anybody_may_ask_whether_it_lives(api: Api) -> None:
    answer = api.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_anybody_may_read_the_page_which_runs_nothing(api: Api) -> None:
    answer = api.send(b"GET /console HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.status == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    page = answer.body.decode()
    assert __version__ in page
    assert "DescribeEdgePackagingJob" in page
    assert "<script" not in page
