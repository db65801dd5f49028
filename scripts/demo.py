"""`make demo`: a real model through the whole service, with plain boto3.

Starts a server in a fresh data folder, uploads the ONNX model that the `magika` package ships, compiles it, packages it
for an edge device, prints what DescribeEdgePackagingJob answers, verifies the package offline, loads the model from it
and predicts. Every AWS call below is the unmodified SDK's; the endpoint comes from the environment, as in any program.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import onnxruntime

EDGEPACK = [sys.executable, "-m", "edgepack"]
BUCKET = "edge-models"
ROLE = "arn:aws:iam::000000000000:role/SageMakerEdge"
FINAL = {"COMPLETED", "FAILED", "STOPPED"}
READY_SECONDS = 60
JOB_SECONDS = 120


def main() -> None:
    """Run the demonstration; exits non-zero if any step of it fails."""
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="edgepack-demo-"))
    try:
        with server(folder / "data"):
            use_environment_of(folder / "data")
            upload_model()
            compile_model()
            description = package_model()
            package = download(description["ModelArtifact"], folder)
        # The server is gone: everything from here on is what a device does, offline.
        verify(package, folder)
        predict(package)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\nDone in {time.monotonic() - started:.1f} s.")


@contextmanager
def server(data: Path) -> Iterator[None]:
    """An edgepack server on free ports, for as long as the block lasts."""
    say("starting edgepack serve in a fresh data folder")
    command = [*EDGEPACK, "serve", "--data", str(data), "--port", "0", "--s3-port", "0", "--log-level", "warning"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        print("   " + process.stdout.readline().strip())
        if process.poll() is not None:
            raise SystemExit("the server did not start")
        yield
    finally:
        say("stopping the server")
        process.terminate()
        process.wait(READY_SECONDS)


def use_environment_of(data: Path) -> None:
    """Do what `eval "$(edgepack env)"` does in a shell."""
    answer = subprocess.run(
        [*EDGEPACK, "env", "--data", str(data), "--format", "json"], check=True, capture_output=True, text=True
    )
    os.environ |= json.loads(answer.stdout)


def upload_model() -> None:
    """Put the model on S3 the way Neo expects it: a tar.gz."""
    say("uploading magika's ONNX model as model.tar.gz")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(magika_file("model.onnx"), "model.onnx")
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="models/model.tar.gz", Body=archive.getvalue())


def compile_model() -> None:
    """Create a compilation job and wait for it."""
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_compilation_job(
        CompilationJobName="magika-x86-64",
        RoleArn=ROLE,
        InputConfig={
            "S3Uri": f"s3://{BUCKET}/models/model.tar.gz",
            "DataInputConfig": '{"bytes": [1, 2048]}',
            "Framework": "ONNX",
        },
        OutputConfig={
            "S3OutputLocation": f"s3://{BUCKET}/compiled/",
            "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"},
        },
        StoppingCondition={"MaxRuntimeInSeconds": 900},
    )
    description = wait(
        "compiling",
        lambda: sagemaker.describe_compilation_job(CompilationJobName="magika-x86-64"),
        status="CompilationJobStatus",
        message="FailureReason",
    )
    print(f"   {description['ModelArtifacts']['S3ModelArtifacts']}")


def package_model() -> dict[str, Any]:
    """Create an edge packaging job, wait for it, and print all that Describe answers."""
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_edge_packaging_job(
        EdgePackagingJobName="magika-edge",
        CompilationJobName="magika-x86-64",
        ModelName="magika",
        ModelVersion="1.0",
        RoleArn=ROLE,
        OutputConfig={
            "S3OutputLocation": f"s3://{BUCKET}/packaged/",
            "PresetDeploymentType": "GreengrassV2Component",
        },
    )
    description = wait(
        "packaging",
        lambda: sagemaker.describe_edge_packaging_job(EdgePackagingJobName="magika-edge"),
        status="EdgePackagingJobStatus",
        message="EdgePackagingJobStatusMessage",
    )
    say("describe_edge_packaging_job answers")
    shown = {key: value for key, value in description.items() if key != "ResponseMetadata"}
    print(json.dumps(shown, indent=2, default=str))
    return shown


def wait(what: str, describe: Callable[[], dict[str, Any]], *, status: str, message: str) -> dict[str, Any]:
    """Poll a job until it has ended, telling what it says of itself."""
    say(what)
    deadline, last = time.monotonic() + JOB_SECONDS, ""
    while time.monotonic() < deadline:
        description = describe()
        line = f"{description[status]:<11} {description.get(message, '')}"
        if line != last:
            print("   " + line)
            last = line
        if description[status] == "COMPLETED":
            return description
        if description[status] in FINAL:
            raise SystemExit(f"{what}: the job ended {description[status]}")
        time.sleep(0.2)
    raise SystemExit(f"{what}: not finished after {JOB_SECONDS} s")


def download(uri: str, folder: Path) -> Path:
    """Fetch the package and the root certificate: all that a device gets."""
    say(f"downloading {uri}")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    package = folder / key.rsplit("/", 1)[-1]
    boto3.client("s3").download_file(bucket, key, str(package))
    subprocess.run(
        [*EDGEPACK, "keys", "export-trust", "--data", str(folder / "data"), "--out", str(folder / "trust.pem")],
        check=True,
    )
    return package


def verify(package: Path, folder: Path) -> None:
    """Verify the package offline, as `edgepack verify` does on a device."""
    say(f"edgepack verify {package.name} --trust trust.pem")
    subprocess.run([*EDGEPACK, "verify", str(package), "--trust", str(folder / "trust.pem")], check=True)


def predict(package: Path) -> None:
    """Load the model from the package and have it say what language this very file is written in."""
    say("loading the packaged model with onnxruntime")
    with tarfile.open(package) as tar:
        models = [name for name in tar.getnames() if name.endswith(".onnx")]
        member = tar.extractfile(models[0])
        assert member is not None
        session = onnxruntime.InferenceSession(member.read(), providers=["CPUExecutionProvider"])
    config = json.loads(magika_file("config.min.json").read_text())
    features = features_of(Path(__file__).read_bytes(), config)
    scores = session.run(None, {session.get_inputs()[0].name: features})[0][0]
    best = int(np.argmax(scores))
    print(f"   {Path(__file__).name} is {config['target_labels_space'][best]!r}, {100 * scores[best]:.1f} % sure")


def features_of(content: bytes, config: dict[str, Any]) -> "np.ndarray[Any, np.dtype[np.int32]]":
    """The model's input: the first and the last bytes of a file, padded."""
    first = list(content.lstrip()[: config["beg_size"]])
    last = list(content.rstrip()[-config["end_size"] :])
    first += [config["padding_token"]] * (config["beg_size"] - len(first))
    last = [config["padding_token"]] * (config["end_size"] - len(last)) + last
    return np.array([first + last], dtype=np.int32)


def magika_file(name: str) -> Path:
    """A file of the model that the `magika` package ships."""
    return Path(str(resources.files("magika"))) / "models" / "standard_v3_3" / name


def say(what: str) -> None:
    """One line of what happens, with the time of day."""
    print(f"\n[{datetime.now().astimezone():%H:%M:%S}] {what}", flush=True)


if __name__ == "__main__":
    main()
