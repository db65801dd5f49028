"""Edge packaging jobs through boto3 against a real server: what Describe says, and that it is true."""

import datetime as dt
import hashlib
import io
import json
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from driving import (
    BUCKET,
    compiled,
    create_compilation,
    create_packaging,
    describe_compilation,
    describe_packaging,
    nothing_left,
    packaged,
    packaging_request,
    put,
)
from harness import EDGEPACK, ROLE, RunningServer, wait_for
from models import compiled_archive

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def compilation(server: RunningServer) -> str:
    compiled(server, "packaging-source")
    return "packaging-source"


def refused(server: RunningServer, operation: str, **members: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        getattr(server.client("sagemaker"), operation)(**members)
    return caught.value


def code_of(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def message_of(error: ClientError) -> str:
    return str(error.response["Error"]["Message"])


def test_every_member_of_the_description_is_there_and_true(
    server: RunningServer, compilation: str, tmp_path: Path
) -> None:
    output = {"S3OutputLocation": f"s3://{BUCKET}/true/", "PresetDeploymentType": "GreengrassV2Component"}
    before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    created = create_packaging(
        server, "described", compilation, ModelVersion="2.0 b", OutputConfig=output, ResourceKey="alias/edge-key"
    )
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert created["ResponseMetadata"]["HTTPHeaders"]["content-length"] == "0"
    first = describe_packaging(server, "described")
    assert first["EdgePackagingJobStatusMessage"]
    assert first["LastModifiedTime"] >= first["CreationTime"]
    found = wait_for(lambda: describe_packaging(server, "described"), "EdgePackagingJobStatus")
    signature, artifact = found.pop("ModelSignature"), found.pop("ModelArtifact")
    created_at, modified_at = found.pop("CreationTime"), found.pop("LastModifiedTime")
    assert found.pop("EdgePackagingJobStatusMessage")
    assert found == {
        "EdgePackagingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:edge-packaging-job/described",
        "EdgePackagingJobName": "described",
        "CompilationJobName": compilation,
        "ModelName": "described",
        "ModelVersion": "2.0 b",
        "RoleArn": ROLE,
        "OutputConfig": output,
        "ResourceKey": "alias/edge-key",
        "EdgePackagingJobStatus": "COMPLETED",
        "PresetDeploymentOutput": {
            "Type": "GreengrassV2Component",
            "Artifact": "arn:aws:greengrass:us-east-1:000000000000:components:SagemakerEdgeManagerdescribed"
            ":versions:1.0.0",
            "Status": "COMPLETED",
            "StatusMessage": found["PresetDeploymentOutput"]["StatusMessage"],
        },
    }
    assert before < created_at < modified_at < dt.datetime.now(dt.UTC)
    assert created_at.microsecond or modified_at.microsecond
    assert artifact == f"s3://{BUCKET}/true/described-2.0 b.tar.gz"
    check_package(server, artifact, signature, tmp_path)


def check_package(server: RunningServer, artifact: str, signature: str, folder: Path) -> None:
    bucket, _, key = artifact.removeprefix("s3://").partition("/")
    package = folder / "package.tar.gz"
    server.client("s3").download_file(bucket, key, str(package))
    with tarfile.open(package) as tar, tarfile.open(fileobj=io.BytesIO(compiled_archive())) as original:
        names = tar.getnames()
        assert names == ["sagemaker_edge_manifest", *original.getnames()]
        for name in original.getnames():
            assert tar.extractfile(name).read() == original.extractfile(name).read()  # type: ignore[union-attr]
        manifest = json.load(tar.extractfile("sagemaker_edge_manifest"))  # type: ignore[arg-type]
    assert manifest["metadata"]["model_name"] == "described"
    assert manifest["metadata"]["model_version"] == "2.0 b"
    assert manifest["signature"] == json.loads(signature)
    trust = folder / "trust.pem"
    subprocess.run([*EDGEPACK, "keys", "export-trust", "--data", str(server.data), "--out", str(trust)], check=True)
    verdict = subprocess.run([*EDGEPACK, "verify", str(package), "--trust", str(trust)], capture_output=True, text=True)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def test_a_description_does_not_promise_what_another_package_has_replaced(
    server: RunningServer, compilation: str
) -> None:
    output = {"S3OutputLocation": f"s3://{BUCKET}/replaced", "PresetDeploymentType": "GreengrassV2Component"}
    first = packaged(server, "replaced-1", compilation, ModelName="replaced", OutputConfig=output)
    time.sleep(1)  # both have the same signature if they are signed in the same second
    second = packaged(server, "replaced-2", compilation, ModelName="replaced", OutputConfig=output)
    assert first["ModelArtifact"] == second.get("ModelArtifact"), second
    assert first["ModelSignature"] != second["ModelSignature"]
    former = describe_packaging(server, "replaced-1")
    assert former["EdgePackagingJobStatus"] == "COMPLETED"
    assert former.keys() & {"ModelArtifact", "ModelSignature"} == set()
    assert "edge-packaging-job/replaced-2 wrote in its place" in former["EdgePackagingJobStatusMessage"]
    assert former["PresetDeploymentOutput"] == first["PresetDeploymentOutput"]
    assert former["LastModifiedTime"] > first["LastModifiedTime"]
    assert describe_packaging(server, "replaced-2") == second


def test_a_compiled_model_that_was_replaced_is_not_packaged(server: RunningServer) -> None:
    found = compiled(server, "replaced-source")
    key = found["ModelArtifacts"]["S3ModelArtifacts"].partition(f"{BUCKET}/")[2]
    put(server, key, compiled_archive())
    job = packaged(server, "of-replaced", "replaced-source")
    assert job["EdgePackagingJobStatus"] == "FAILED"
    assert "has been replaced since its compilation job wrote it" in job["EdgePackagingJobStatusMessage"]
    assert nothing_left(server, "packaged/of-replaced")


def test_an_empty_kms_key_is_none(server: RunningServer, compilation: str) -> None:
    output = {"S3OutputLocation": f"s3://{BUCKET}/keyless", "KmsKeyId": ""}
    job = packaged(server, "keyless", compilation, OutputConfig=output)
    assert (job["EdgePackagingJobStatus"], job["OutputConfig"]) == ("COMPLETED", output)


def test_a_slash_is_added_only_if_missing(server: RunningServer, compilation: str) -> None:
    location = {"S3OutputLocation": f"s3://{BUCKET}/no-slash"}
    found = packaged(server, "slashless", compilation, OutputConfig=location)
    assert found["ModelArtifact"] == f"s3://{BUCKET}/no-slash/slashless-1.0.tar.gz"
    assert found["OutputConfig"] == location


def test_a_name_can_be_used_once(server: RunningServer, compilation: str) -> None:
    packaged(server, "only-once", compilation)
    error = refused(
        server, "create_edge_packaging_job", **packaging_request("only-once", compilation, ModelName="other")
    )
    assert code_of(error) == "ValidationException"
    assert "must be unique" in message_of(error)
    assert ":edge-packaging-job/only-once" in message_of(error)


def test_the_compilation_job_must_be_there_and_completed(server: RunningServer) -> None:
    missing = refused(server, "create_edge_packaging_job", **packaging_request("orphan", "never-compiled"))
    assert code_of(missing) == "ValidationException"
    assert "never-compiled" in message_of(missing)
    uri = put(server, "in/not-gzip.tar.gz", b"this is no archive")
    create_compilation(server, "failing-compilation", uri)
    failed = wait_for(lambda: describe_compilation(server, "failing-compilation"), "CompilationJobStatus")
    assert failed["CompilationJobStatus"] == "FAILED"
    error = refused(server, "create_edge_packaging_job", **packaging_request("orphan", "failing-compilation"))
    assert "FAILED" in message_of(error)
    assert failed["FailureReason"] in message_of(error)
    assert code_of(refused(server, "describe_edge_packaging_job", EdgePackagingJobName="orphan")) == "ResourceNotFound"


def test_a_missing_job_is_not_found(server: RunningServer) -> None:
    for operation in ("describe_edge_packaging_job", "stop_edge_packaging_job"):
        error = refused(server, operation, EdgePackagingJobName="nobody")
        assert code_of(error) == "ResourceNotFound"
        assert "nobody" in message_of(error)


def test_a_finished_job_cannot_be_stopped(server: RunningServer, compilation: str) -> None:
    packaged(server, "finished", compilation)
    error = refused(server, "stop_edge_packaging_job", EdgePackagingJobName="finished")
    assert code_of(error) == "ValidationException"
    assert "COMPLETED" in message_of(error)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ({"S3OutputLocation": "s3://no-such-bucket-here/x"}, "no-such-bucket-here"),
        (
            {"S3OutputLocation": f"s3://{BUCKET}/kms", "KmsKeyId": "alias/none"},
            "KMS key 'alias/none'",
        ),
    ],
)
def test_an_output_that_cannot_be_written_fails_the_job(
    server: RunningServer, compilation: str, output: dict[str, str], says: str
) -> None:
    name = f"bad-output-{hashlib.sha256(says.encode()).hexdigest()[:8]}"
    found = packaged(server, name, compilation, OutputConfig=output)
    assert found["EdgePackagingJobStatus"] == "FAILED"
    assert says in found["EdgePackagingJobStatusMessage"]
    assert "ModelArtifact" not in found
    assert "ModelSignature" not in found


def test_a_source_that_vanished_fails_the_job_by_name(server: RunningServer) -> None:
    source = compiled(server, "vanishing")["ModelArtifacts"]["S3ModelArtifacts"]
    bucket, _, key = source.removeprefix("s3://").partition("/")
    server.client("s3").delete_object(Bucket=bucket, Key=key)
    found = packaged(server, "sourceless", "vanishing", OutputConfig={"S3OutputLocation": f"s3://{BUCKET}/sourceless"})
    assert found["EdgePackagingJobStatus"] == "FAILED"
    assert key in found["EdgePackagingJobStatusMessage"]
    assert nothing_left(server, "sourceless/")


def test_the_package_may_not_replace_its_own_source(server: RunningServer) -> None:
    source = compiled(server, "self-source")["ModelArtifacts"]["S3ModelArtifacts"]
    folder, _, name = source.rpartition("/")
    model, _, version = name.removesuffix(".tar.gz").rpartition("-")
    request = packaging_request(
        "self-replacing",
        "self-source",
        ModelName=model,
        ModelVersion=version,
        OutputConfig={"S3OutputLocation": folder},
    )
    error = refused(server, "create_edge_packaging_job", **request)
    assert code_of(error) == "ValidationException"


def test_a_preset_that_fails_leaves_the_job_completed(server: RunningServer, compilation: str) -> None:
    preset = {
        "S3OutputLocation": f"s3://{BUCKET}/presets",
        "PresetDeploymentType": "GreengrassV2Component",
        "PresetDeploymentConfig": json.dumps({"ComponentName": "com.example.once", "ComponentVersion": "1.0.0"}),
    }
    first = packaged(server, "preset-1", compilation, OutputConfig=preset)
    assert first["PresetDeploymentOutput"]["Status"] == "COMPLETED"
    second = packaged(server, "preset-2", compilation, OutputConfig=preset)
    assert second["EdgePackagingJobStatus"] == "COMPLETED"
    assert second["ModelArtifact"]
    assert second["PresetDeploymentOutput"]["Status"] == "FAILED"
    assert "com.example.once" in second["PresetDeploymentOutput"]["StatusMessage"]


def test_a_preset_config_without_a_preset_is_refused(server: RunningServer, compilation: str) -> None:
    output = {"S3OutputLocation": f"s3://{BUCKET}/x", "PresetDeploymentConfig": "{}"}
    error = refused(
        server, "create_edge_packaging_job", **packaging_request("presetless", compilation, OutputConfig=output)
    )
    assert "PresetDeploymentType" in message_of(error)
