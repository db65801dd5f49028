"""Compilation jobs through boto3 against a real server."""

import hashlib
import io
import tarfile
from typing import Any

import numpy as np
import onnxruntime
import pytest
from botocore.exceptions import ClientError

from driving import BUCKET, compiled, create_compilation, describe_compilation, fetched, put
from harness import ROLE, RunningServer, wait_for
from models import compiled_archive, onnx_archive, shipped_model, tar_gz

pytestmark = pytest.mark.server


def finished(server: RunningServer, name: str) -> dict[str, Any]:
    return wait_for(lambda: describe_compilation(server, name), "CompilationJobStatus")


def onnx_job(server: RunningServer, name: str, output: dict[str, Any], **source: Any) -> dict[str, Any]:
    uri = put(server, f"in/{name}/model.tar.gz", onnx_archive())
    source = {"S3Uri": uri, "Framework": "ONNX", "DataInputConfig": '{"X": [3, 2]}'} | source
    location = {"S3OutputLocation": f"s3://{BUCKET}/onnx/{name}"}
    create_compilation(server, name, uri, InputConfig=source, OutputConfig=location | output)
    return finished(server, name)


def test_an_onnx_model_is_compiled_and_still_predicts_the_same(server: RunningServer) -> None:
    found = onnx_job(server, "onnx-platform", {"TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"}})
    assert found["CompilationJobStatus"] == "COMPLETED", found["FailureReason"]
    artifact = found["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifact == f"s3://{BUCKET}/onnx/onnx-platform/model-LINUX_X86_64.tar.gz"
    body = fetched(server, artifact)
    assert found["ModelDigests"]["ArtifactDigest"] == hashlib.blake2b(body).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        (name,) = (name for name in tar.getnames() if name.endswith(".onnx"))
        model = tar.extractfile(name).read()  # type: ignore[union-attr]
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    (theirs,) = onnxruntime.InferenceSession(shipped_model(), providers=["CPUExecutionProvider"]).run(None, {"X": x})
    (ours,) = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"X": x})
    assert np.array_equal(ours, theirs)


def test_the_description_is_what_was_asked_and_what_became_of_it(server: RunningServer) -> None:
    output = {"TargetDevice": "ml_c5"}
    found = onnx_job(server, "onnx-device", output, FrameworkVersion="1.17")
    assert found["ModelArtifacts"]["S3ModelArtifacts"].endswith("/model-ml_c5.tar.gz")
    assert found["CompilationJobArn"] == "arn:aws:sagemaker:us-east-1:000000000000:compilation-job/onnx-device"
    assert found["InputConfig"]["FrameworkVersion"] == "1.17"
    assert found["OutputConfig"] == {"S3OutputLocation": f"s3://{BUCKET}/onnx/onnx-device"} | output
    assert found["RoleArn"] == ROLE
    assert found["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}
    assert found["FailureReason"] == ""
    times = [found[name] for name in ("CreationTime", "CompilationStartTime", "CompilationEndTime")]
    assert times == sorted(times)
    assert found["LastModifiedTime"] >= found["CompilationStartTime"]


def test_the_same_input_gives_the_same_bytes(server: RunningServer) -> None:
    jobs = [onnx_job(server, f"onnx-same-{number}", {"TargetDevice": "ml_c5"}) for number in range(2)]
    assert jobs[0]["ModelDigests"] == jobs[1]["ModelDigests"]


def test_a_compiled_archive_is_passed_through_byte_for_byte(server: RunningServer) -> None:
    found = compiled(server, "through")
    assert fetched(server, found["ModelArtifacts"]["S3ModelArtifacts"]) == compiled_archive()
    assert found["ModelDigests"]["ArtifactDigest"] == hashlib.blake2b(compiled_archive()).hexdigest()


@pytest.mark.parametrize("framework", ["MXNET", "DARKNET", "TENSORFLOW"])
def test_a_framework_without_a_compiler_fails_with_a_way_out(server: RunningServer, framework: str) -> None:
    found = onnx_job(server, f"no-{framework.lower()}", {"TargetDevice": "ml_c5"}, Framework=framework)
    assert found["CompilationJobStatus"] == "FAILED"
    assert framework in found["FailureReason"]
    assert '"compiler": "none"' in found["FailureReason"]
    assert found["ModelArtifacts"] == {"S3ModelArtifacts": ""}


def test_a_broken_model_fails_with_a_reason(server: RunningServer) -> None:
    uri = put(server, "in/broken.tar.gz", tar_gz({"model.onnx": b"not a model"}))
    create_compilation(
        server,
        "broken-onnx",
        uri,
        InputConfig={"S3Uri": uri, "Framework": "ONNX"},
        OutputConfig={"S3OutputLocation": f"s3://{BUCKET}/x", "TargetDevice": "ml_c5"},
    )
    found = finished(server, "broken-onnx")
    assert found["CompilationJobStatus"] == "FAILED"
    assert found["FailureReason"].startswith("ClientError")


def refused(server: RunningServer, **members: Any) -> Any:
    request = {
        "CompilationJobName": "refused",
        "RoleArn": ROLE,
        "InputConfig": {"S3Uri": "s3://models/k.tar.gz", "Framework": "ONNX"},
        "OutputConfig": {"S3OutputLocation": "s3://models/o", "TargetDevice": "ml_c5"},
        "StoppingCondition": {},
    } | members
    with pytest.raises(ClientError) as caught:
        server.client("sagemaker").create_compilation_job(**request)
    return caught.value.response["Error"]


def test_members_that_contradict_each_other_are_refused(server: RunningServer) -> None:
    both = {
        "S3OutputLocation": "s3://models/o",
        "TargetDevice": "ml_c5",
        "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"},
    }
    for output in (both, {"S3OutputLocation": "s3://models/o"}):
        error = refused(server, OutputConfig=output)
        assert error["Code"] == "ValidationException"
        assert "TargetDevice" in error["Message"]
        assert "TargetPlatform" in error["Message"]


def test_compiler_options_must_be_an_object_with_a_known_compiler(server: RunningServer) -> None:
    output = {"S3OutputLocation": "s3://models/o", "TargetDevice": "ml_c5"}
    assert "CompilerOptions" in refused(server, OutputConfig=output | {"CompilerOptions": "[1]"})["Message"]
    unknown = refused(server, OutputConfig=output | {"CompilerOptions": '{"compiler": "gcc-99"}'})
    assert "gcc-99" in unknown["Message"]


def test_a_name_can_be_used_once(server: RunningServer) -> None:
    compiled(server, "compiled-once")
    error = refused(server, CompilationJobName="compiled-once")
    assert error["Code"] == "ResourceInUse"


def test_a_job_is_deleted_with_its_tags_but_not_its_artifact(server: RunningServer) -> None:
    client = server.client("sagemaker")
    found = compiled(server, "deletable")
    client.add_tags(ResourceArn=found["CompilationJobArn"], Tags=[{"Key": "a", "Value": "b"}])
    client.delete_compilation_job(CompilationJobName="deletable")
    for operation in ("describe_compilation_job", "delete_compilation_job", "stop_compilation_job"):
        with pytest.raises(ClientError, match="ResourceNotFound"):
            getattr(client, operation)(CompilationJobName="deletable")
    assert fetched(server, found["ModelArtifacts"]["S3ModelArtifacts"]) == compiled_archive()
    compiled(server, "deletable")
    assert client.list_tags(ResourceArn=found["CompilationJobArn"])["Tags"] == []
