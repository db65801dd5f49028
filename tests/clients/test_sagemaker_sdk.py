"""The SageMaker Python SDK v2, unmodified: Model.compile(...), then Model.package_for_edge(...)."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from harness import ROLE, RunningServer
from models import onnx_archive

PYTHON = Path(__file__).parents[2] / ".venvs" / "sagemaker" / "bin" / "python"

pytestmark = [pytest.mark.server, pytest.mark.clients]

PROGRAM = """
import json, sys
from sagemaker.model import Model
from sagemaker.session import Session

role = sys.argv[1]
session = Session(default_bucket="sdk-models")
model = Model(
    image_uri="none", model_data="s3://sdk-models/in/model.tar.gz", role=role, sagemaker_session=session
)
model.compile(
    target_instance_family=None, target_platform_os="LINUX", target_platform_arch="X86_64",
    input_shape={"X": [3, 2]}, output_path="s3://sdk-models/compiled", role=role,
    framework="onnx", job_name="compilation-sdk-1", tags=[{"Key": "made-by", "Value": "sdk"}],
)
compiled = model.model_data
model.package_for_edge(
    output_path="s3://sdk-models/edge", model_name="sdk-model", model_version="1.0", role=role,
)
print()
print(json.dumps({"compiled": compiled, "packaged": model.model_data}))
"""


def test_compile_then_package_for_edge(server: RunningServer, tmp_path: Path) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="sdk-models")
    s3.put_object(Bucket="sdk-models", Key="in/model.tar.gz", Body=onnx_archive())
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **server.environment}
    done = subprocess.run(
        [str(PYTHON), "-c", PROGRAM, ROLE], env=environment, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer == {
        "compiled": "s3://sdk-models/compiled/model-LINUX_X86_64.tar.gz",
        "packaged": "s3://sdk-models/edge/sdk-model-1.0.tar.gz",
    }
    described = server.client("sagemaker").describe_edge_packaging_job(EdgePackagingJobName="packaging-sdk-1")
    assert described["EdgePackagingJobStatus"] == "COMPLETED"
    assert s3.head_object(Bucket="sdk-models", Key="edge/sdk-model-1.0.tar.gz")["ContentLength"] > 0
