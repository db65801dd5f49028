"""ListEdgePackagingJobs and ListCompilationJobs through boto3: every filter, sort and order; pages that hold still."""

import base64
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from driving import compiled, create_packaging, describe_packaging
from harness import RunningServer, wait_for

pytestmark = pytest.mark.server

NAMES = ["list-c", "list-a", "list-b", "list-B", "list-d"]
MODELS = {"list-c": "zebra", "list-a": "yak", "list-b": "yak", "list-B": "Yak", "list-d": "ant"}


@pytest.fixture(scope="module")
def jobs(server: RunningServer) -> dict[str, dict[str, Any]]:
    """Five jobs, created one after the other; their descriptions."""
    compiled(server, "list-source")
    for name in NAMES:
        output = {"S3OutputLocation": f"s3://models/lists/{name}"}
        create_packaging(server, name, "list-source", ModelName=MODELS[name], OutputConfig=output)
    return {
        name: wait_for(lambda name=name: describe_packaging(server, name), "EdgePackagingJobStatus")  # type: ignore[misc]
        for name in NAMES
    }


def listed(server: RunningServer, **members: Any) -> list[str]:
    answer = server.client("sagemaker").list_edge_packaging_jobs(**{"NameContains": "list-"} | members)
    return [job["EdgePackagingJobName"] for job in answer["EdgePackagingJobSummaries"]]


def test_a_summary_says_what_the_description_says(server: RunningServer, jobs: dict[str, Any]) -> None:
    answer = server.client("sagemaker").list_edge_packaging_jobs(NameContains="list-a")
    (summary,) = answer["EdgePackagingJobSummaries"]
    assert summary == {name: jobs["list-a"][name] for name in summary}
    assert len(summary) == 8


KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "NAME": lambda job: job["EdgePackagingJobName"],
    "MODEL_NAME": lambda job: job["ModelName"],
    "CREATION_TIME": lambda job: job["CreationTime"],
    "LAST_MODIFIED_TIME": lambda job: job["LastModifiedTime"],
    "STATUS": lambda job: job["EdgePackagingJobStatus"],
}


@pytest.mark.parametrize("sort", KEYS)
@pytest.mark.parametrize("descending", [False, True])
def test_every_sort_key_in_both_orders(
    server: RunningServer, jobs: dict[str, Any], sort: str, descending: bool
) -> None:
    order = "Descending" if descending else "Ascending"
    found = listed(server, SortBy=sort, SortOrder=order)
    expected = sorted(NAMES, key=lambda name: (KEYS[sort](jobs[name]), NAMES.index(name)), reverse=descending)
    assert found == expected


def test_without_a_sort_key_the_oldest_come_first(server: RunningServer, jobs: dict[str, Any]) -> None:
    assert listed(server) == NAMES


def test_the_name_filters_mind_the_case(server: RunningServer, jobs: dict[str, Any]) -> None:
    assert listed(server, NameContains="list-B") == ["list-B"]
    assert sorted(listed(server, ModelNameContains="yak")) == ["list-a", "list-b"]
    assert listed(server, NameContains="list-b", ModelNameContains="zebra") == []


def test_the_status_filter(server: RunningServer, jobs: dict[str, Any]) -> None:
    assert listed(server, StatusEquals="COMPLETED") == NAMES
    assert listed(server, StatusEquals="FAILED") == []


@pytest.mark.parametrize(
    ("prefix", "member"), [("CreationTime", "CreationTime"), ("LastModifiedTime", "LastModifiedTime")]
)
def test_the_time_filters_are_strict(server: RunningServer, jobs: dict[str, Any], prefix: str, member: str) -> None:
    times = {name: jobs[name][member] for name in NAMES}
    pivot = times["list-b"]
    after, before = listed(server, **{f"{prefix}After": pivot}), listed(server, **{f"{prefix}Before": pivot})
    assert after == [name for name in NAMES if times[name] > pivot]
    assert before == [name for name in NAMES if times[name] < pivot]
    hour = dt.timedelta(hours=1)
    assert listed(server, **{f"{prefix}After": pivot - hour, f"{prefix}Before": pivot + hour}) == NAMES


@pytest.mark.parametrize("sort", KEYS)
@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("size", [1, 2])
def test_pages_put_together_are_the_list(
    server: RunningServer, jobs: dict[str, Any], sort: str, order: str, size: int
) -> None:
    query = {"NameContains": "list-", "SortBy": sort, "SortOrder": order}
    pages = (
        server.client("sagemaker")
        .get_paginator("list_edge_packaging_jobs")
        .paginate(**query, PaginationConfig={"PageSize": size})
    )
    found = [[job["EdgePackagingJobName"] for job in page["EdgePackagingJobSummaries"]] for page in pages]
    assert all(len(page) <= size for page in found)
    assert [name for page in found for name in page] == listed(server, **query)


def test_a_page_stays_where_it_was_while_jobs_are_added(server: RunningServer, jobs: dict[str, Any]) -> None:
    client = server.client("sagemaker")
    query = {"NameContains": "list-", "SortBy": "NAME", "MaxResults": 2}
    first = client.list_edge_packaging_jobs(**query)
    output = {"S3OutputLocation": "s3://models/lists/added"}
    create_packaging(server, "list-A-added", "list-source", ModelName="list-added", OutputConfig=output)
    second = client.list_edge_packaging_jobs(**query, NextToken=first["NextToken"])
    names = [job["EdgePackagingJobName"] for page in (first, second) for job in page["EdgePackagingJobSummaries"]]
    assert names == sorted(NAMES)[:4]
    wait_for(lambda: describe_packaging(server, "list-A-added"), "EdgePackagingJobStatus")
    assert "list-A-added" in listed(server, ModelNameContains="list-added")


def invalid(server: RunningServer, **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        server.client("sagemaker").list_edge_packaging_jobs(**members)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


def test_a_token_is_good_for_its_own_query_only(server: RunningServer, jobs: dict[str, Any]) -> None:
    client = server.client("sagemaker")
    token = client.list_edge_packaging_jobs(NameContains="list-", MaxResults=1)["NextToken"]
    assert "Invalid pagination token" in invalid(server, NameContains="list-a", NextToken=token)
    assert "Invalid pagination token" in invalid(server, NameContains="list-", SortOrder="Descending", NextToken=token)
    with pytest.raises(ClientError, match="Invalid pagination token"):
        client.list_compilation_jobs(NameContains="list-", NextToken=token)


def test_a_token_that_was_tampered_with_is_refused(server: RunningServer, jobs: dict[str, Any]) -> None:
    token = server.client("sagemaker").list_edge_packaging_jobs(NameContains="list-", MaxResults=1)["NextToken"]
    sealed = bytearray(base64.urlsafe_b64decode(token))
    assert b"list" not in sealed
    for position in (0, len(sealed) // 2, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[position] ^= 1
        text = base64.urlsafe_b64encode(bytes(changed)).decode()
        assert "Invalid pagination token" in invalid(server, NameContains="list-", NextToken=text)
    for text in ("not a token", token + "="):
        assert "Invalid pagination token" in invalid(server, NameContains="list-", NextToken=text)


def test_max_results_has_a_range(server: RunningServer) -> None:
    assert "less than or equal to 100" in invalid(server, MaxResults=101)
    assert "greater than or equal to 1" in invalid(server, MaxResults=0)


def test_compilation_jobs_are_listed_likewise(server: RunningServer, jobs: dict[str, Any]) -> None:
    client = server.client("sagemaker")
    answer = client.list_compilation_jobs(
        NameContains="list-source", StatusEquals="COMPLETED", SortBy="Name", SortOrder="Descending", MaxResults=5
    )
    (summary,) = answer["CompilationJobSummaries"]
    described = client.describe_compilation_job(CompilationJobName="list-source")
    assert summary["CompilationTargetPlatformOs"] == "LINUX"
    assert summary["CompilationTargetPlatformArch"] == "ARM64"
    assert summary["CreationTime"] <= summary["CompilationStartTime"] <= summary["CompilationEndTime"]
    for member in ("CompilationJobArn", "CreationTime", "LastModifiedTime", "CompilationEndTime"):
        assert summary[member] == described[member]
