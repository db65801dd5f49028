"""boto3 in a program that knows nothing of edgepack, pointed at the server by environment variables alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import ROLE, RunningServer
from models import onnx_archive

pytestmark = [pytest.mark.server, pytest.mark.clients]

PROGRAM = """
import json, sys, time
import boto3

role, archive = sys.argv[1:]
s3, sagemaker, sts = boto3.client("s3"), boto3.client("sagemaker"), boto3.client("sts")
s3.create_bucket(Bucket="boto3-models")
s3.upload_file(archive, "boto3-models", "in/model.tar.gz")
sagemaker.create_compilation_job(
    CompilationJobName="boto3-compile", RoleArn=role,
    InputConfig={"S3Uri": "s3://boto3-models/in/model.tar.gz", "Framework": "ONNX"},
    OutputConfig={"S3OutputLocation": "s3://boto3-models/out/", "TargetPlatform": {"Os": "LINUX", "Arch": "ARM64"}},
    StoppingCondition={"MaxRuntimeInSeconds": 600},
)
while sagemaker.describe_compilation_job(CompilationJobName="boto3-compile")["CompilationJobStatus"] in (
    "STARTING", "INPROGRESS"
):
    time.sleep(0.1)
sagemaker.create_edge_packaging_job(
    EdgePackagingJobName="boto3-package", CompilationJobName="boto3-compile", ModelName="m", ModelVersion="1",
    RoleArn=role, OutputConfig={"S3OutputLocation": "s3://boto3-models/edge/"},
)
while (job := sagemaker.describe_edge_packaging_job(EdgePackagingJobName="boto3-package"))[
    "EdgePackagingJobStatus"
] in ("STARTING", "INPROGRESS"):
    time.sleep(0.1)
bucket, _, key = job["ModelArtifact"].removeprefix("s3://").partition("/")
s3.download_file(bucket, key, archive + ".package")
print(json.dumps({"account": sts.get_caller_identity()["Account"], "status": job["EdgePackagingJobStatus"]}))
"""


def test_a_program_runs_with_nothing_but_the_variables_changed(server: RunningServer, tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(onnx_archive())
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **server.environment}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ROLE, str(archive)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"account": "000000000000", "status": "COMPLETED"}
    assert (tmp_path / "model.tar.gz.package").stat().st_size > 0


def test_the_shell_form_of_env_sets_the_same_variables(server: RunningServer) -> None:
    command = f'eval "$({sys.executable} -m edgepack env --data "{server.data}")" && env -0'
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True, env={"PATH": os.environ["PATH"]})
    found = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if "=" in line)
    assert {name: found.get(name) for name in server.environment} == server.environment
