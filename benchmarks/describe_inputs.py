"""What the Describe benchmark works with: a database full of jobs, and requests as boto3 makes them."""

import io
import tarfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from edgepack.contract.arns import edge_packaging_job_arn
from edgepack.contract.edge_packaging_jobs import EdgeOutputConfig
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.records import CompiledModel
from edgepack.jobs.lifecycle import COMPLETED, INPROGRESS
from edgepack.keys.signing import load_signer
from edgepack.package.assembly import frame_package
from edgepack.package.manifest import ModelIdentity
from edgepack.package.scan import scan_archive

ACCOUNT, REGION = "000000000000", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/SageMakerEdge"
BATCH = 1_000
"""Jobs written in one transaction."""

COMPILED = CompiledModel(
    artifact_uri="s3://models/compiled/model-rasp4b.tar.gz",
    artifact_etag=None,
    target_device="rasp4b",
    target_platform=None,
)

FILES = ("compiled.so", "compiled.params", "compiled.meta", "compiled_model.json", "manifest")
"""What a compiled model of Neo's holds; the size of a signature, and so of an answer, goes with their number."""


def fill(data: Path, count: int) -> list[str]:
    """Write COMPLETED edge packaging jobs into a server's database; their names."""
    bundle = _signature_bundle(data)
    database = Database(f"sqlite:///{data / 'edgepack.db'}")
    names = [f"job-{number:07}" for number in range(count)]
    try:
        for start in range(0, count, BATCH):
            with database.write() as connection:
                for name in names[start : start + BATCH]:
                    _write(connection, name, bundle)
    finally:
        database.close()
    return names


def _write(connection: Any, name: str, bundle: str) -> None:
    now = time.time_ns() // 1000
    uri = f"s3://models/packaged/{name}-1.0.tar.gz"
    job = edge_packaging_jobs.insert(
        connection,
        {
            "account_id": ACCOUNT,
            "name": name,
            "arn": edge_packaging_job_arn(REGION, ACCOUNT, name),
            "status": INPROGRESS,
            "status_message": "Packaged and signed 5 files; the stored package of 104857600 bytes has been checked.",
            "compilation_job_name": "compiled",
            "compiled_model": msgspec.json.encode(COMPILED),
            "model_name": name,
            "model_version": "1.0",
            "role_arn": ROLE,
            "output_config": msgspec.json.encode(EdgeOutputConfig(s3_output_location="s3://models/packaged/")),
            "output_bucket": "models",
            "output_key": f"packaged/{name}-1.0.tar.gz",
            "created_at": now,
            "modified_at": now,
            "workflow_id": f"benchmark-{name}",
        },
    )
    outcome = {"model_artifact": uri, "model_signature": bundle}
    edge_packaging_jobs.change(connection, job.id, expected={INPROGRESS}, outcome=outcome, status=COMPLETED)


def _signature_bundle(data: Path) -> str:
    """A real one, by the server's own signing key."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in FILES:
            archive.addfile(tarfile.TarInfo(name))
    identity = ModelIdentity(model_name="resnet-50", model_version="1.0", compilation_job_name="compiled")
    scan = scan_archive([buffer.getvalue()])
    frame = frame_package(scan, identity=identity, signer=load_signer(data), signed_at=datetime.now(UTC))
    return frame.signature_bundle


def recorded(client: Any, method: str, parameters: Sequence[dict[str, Any]]) -> list[bytes]:
    """The requests that a boto3 client makes, as bytes on the wire; nothing is sent.

    Args:
        client: The client.
        method: The client's method.
        parameters: Its arguments, for each request.
    """
    requests: list[bytes] = []

    def record(request: Any, **_: Any) -> AWSResponse:
        requests.append(_on_the_wire(request))
        return AWSResponse(request.url, 200, HTTPHeaders(), _Empty())

    client.meta.events.register("before-send.sagemaker", record)
    try:
        for arguments in parameters:
            getattr(client, method)(**arguments)
    finally:
        client.meta.events.unregister("before-send.sagemaker", record)
    return requests


def _on_the_wire(request: Any) -> bytes:
    body = request.body or b""
    url = urlsplit(request.url)
    headers = {"Host": url.netloc, **{name: _text(value) for name, value in request.headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{request.method} {url.path or '/'} HTTP/1.1\r\n{lines}\r\n".encode() + body


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class _Empty(io.BytesIO):
    """An answer's raw body, as urllib3 would give it."""

    def __init__(self) -> None:
        super().__init__(b"{}")

    def stream(self, **_: Any) -> Any:
        yield self.read()
