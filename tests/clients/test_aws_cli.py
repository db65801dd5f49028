"""The unmodified AWS CLI, in an environment of its own, pointed at the server by environment variables alone."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from harness import FINAL, ROLE, RunningServer
from models import onnx_archive

AWS = Path(__file__).parents[2] / ".venvs" / "awscli" / "bin" / "aws"

pytestmark = [pytest.mark.server, pytest.mark.clients]


def aws(server: RunningServer, *arguments: str) -> Any:
    """Run one command; its JSON answer, or None where the operation answers nothing."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(server.data), **server.environment}
    done = subprocess.run([str(AWS), *arguments, "--output", "json"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def aws_error(server: RunningServer, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(server.data), **server.environment}
    done = subprocess.run([str(AWS), *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    return done.stderr


def wait_for_status(server: RunningServer, operation: str, option: str, name: str, member: str) -> Any:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        answer = aws(server, "sagemaker", operation, option, name)
        if answer[member] in FINAL:
            return answer
    raise AssertionError(answer)


def test_a_model_from_upload_to_download(server: RunningServer, tmp_path: Path) -> None:
    source = tmp_path / "model.tar.gz"
    source.write_bytes(onnx_archive())
    aws(server, "s3api", "create-bucket", "--bucket", "cli-models")
    aws(server, "s3api", "put-object", "--bucket", "cli-models", "--key", "in/model.tar.gz", "--body", str(source))
    created = aws(
        server, "sagemaker", "create-compilation-job",
        "--compilation-job-name", "cli-compile",
        "--role-arn", ROLE,
        "--input-config", "S3Uri=s3://cli-models/in/model.tar.gz,Framework=ONNX",
        "--output-config", "S3OutputLocation=s3://cli-models/out,TargetDevice=ml_c5",
        "--stopping-condition", "MaxRuntimeInSeconds=600",
    )  # fmt: skip
    assert created["CompilationJobArn"].endswith(":compilation-job/cli-compile")
    compiled = wait_for_status(
        server, "describe-compilation-job", "--compilation-job-name", "cli-compile", "CompilationJobStatus"
    )
    assert compiled["ModelArtifacts"]["S3ModelArtifacts"] == "s3://cli-models/out/model-ml_c5.tar.gz"
    nothing = aws(
        server, "sagemaker", "create-edge-packaging-job",
        "--edge-packaging-job-name", "cli-package",
        "--compilation-job-name", "cli-compile",
        "--model-name", "cli-model",
        "--model-version", "2.1",
        "--role-arn", ROLE,
        "--output-config", "S3OutputLocation=s3://cli-models/edge",
        "--tags", "Key=team,Value=edge",
    )  # fmt: skip
    assert nothing is None
    described = wait_for_status(
        server, "describe-edge-packaging-job", "--edge-packaging-job-name", "cli-package", "EdgePackagingJobStatus"
    )
    assert described["EdgePackagingJobStatus"] == "COMPLETED", described
    assert described["ModelArtifact"] == "s3://cli-models/edge/cli-model-2.1.tar.gz"
    listed = aws(server, "sagemaker", "list-edge-packaging-jobs", "--name-contains", "cli-pack")
    assert [job["EdgePackagingJobName"] for job in listed["EdgePackagingJobSummaries"]] == ["cli-package"]
    tags = aws(server, "sagemaker", "list-tags", "--resource-arn", described["EdgePackagingJobArn"])
    assert tags["Tags"] == [{"Key": "team", "Value": "edge"}]
    package = tmp_path / "package.tar.gz"
    aws(server, "s3", "cp", described["ModelArtifact"], str(package), "--no-progress", "--only-show-errors")
    assert package.stat().st_size > source.stat().st_size


def test_who_am_i(server: RunningServer) -> None:
    assert aws(server, "sts", "get-caller-identity")["Account"] == "000000000000"


def test_errors_are_shown_by_code(server: RunningServer) -> None:
    message = aws_error(
        server, "sagemaker", "describe-edge-packaging-job", "--edge-packaging-job-name", "never-created"
    )
    assert "ResourceNotFound" in message
    assert "never-created" in message
