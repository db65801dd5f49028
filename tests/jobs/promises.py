"""What must hold of a job that has ended, however often its workers died: all of its promises, and nothing else."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from edgepack.database.records import MICROSECONDS
from edgepack.database.schema import component_versions, outputs, uploads
from edgepack.jobs.lifecycle import FINAL
from edgepack.objects.address import S3Address, parse_object_uri
from edgepack.package.verification import verify_package
from jobs.rehearsal import COMPILATION, Job


def broken_promises(job: Job) -> list[str]:
    """Everything that does not hold of a job that is to have ended."""
    return [*_of_its_end(job), *_of_what_is_left(job), *kept_promises(job)]


def kept_promises(job: Job) -> Iterator[str]:
    """What Describe promises and is not so, or is there and not promised."""
    shown = json.loads(job.described)
    if job.kind == COMPILATION:
        yield from _of_a_compiled_model(job, shown)
    else:
        yield from _of_a_package(job, shown)
        yield from _of_a_component(job, shown)


def promises_an_artifact(job: Job) -> bool:
    """Whether Describe says that there is something of it."""
    shown = json.loads(job.described)
    return bool(shown["ModelArtifacts"]["S3ModelArtifacts"] if job.kind == COMPILATION else shown.get("ModelArtifact"))


def _of_its_end(job: Job) -> Iterator[str]:
    endings = [status for status in job.statuses if status in FINAL]
    if len(endings) != 1 or job.statuses[-1] != endings[0] or job.row.status != endings[0]:
        yield f"it went through {job.statuses}"
    member = "CompilationJobStatus" if job.kind == COMPILATION else "EdgePackagingJobStatus"
    if json.loads(job.described)[member] != job.row.status:
        yield "Describe shows another status than its row has"


def _of_what_is_left(job: Job) -> Iterator[str]:
    house, arn = job.house, job.row.arn
    with house.real.read() as connection:
        if connection.execute(sa.select(uploads).where(uploads.c.owner_arn == arn)).first():
            yield "an upload is still noted"
        if connection.execute(sa.select(outputs).where(outputs.c.writer_arn == arn)).first():
            yield "it still claims its output"
    if house.unended(job.workflow_ids):
        yield "the engine still has a workflow of it that is to be run"
    if house.weed.store.list_uploads(house.bucket, f"{job.prefix}/"):
        yield "an upload is still open"
    if list((house.folder / "scratch").glob("*")):
        yield "a scratch folder is left"


def _of_a_package(job: Job, shown: dict[str, Any]) -> Iterator[str]:
    written = _written(job)
    if "ModelArtifact" not in shown:
        if job.row.status == "COMPLETED" and "is gone" not in shown["EdgePackagingJobStatusMessage"]:
            yield "it COMPLETED without a package"
        if "ModelSignature" in shown or written:
            yield f"it left {written} and describes none"
        return
    address = parse_object_uri(shown["ModelArtifact"])
    if job.row.status != "COMPLETED" or written != [address]:
        yield f"it is {job.row.status}, describes {address} and has written {written}"
        return
    package = job.house.weed.content(address)
    now = datetime.fromtimestamp(job.house.now / MICROSECONDS, UTC)
    verdict = verify_package([package], trust=job.house.keys.trust, now=now)
    if not verdict.ok:
        yield f"its package does not verify: {verdict}"
    with tarfile.open(fileobj=io.BytesIO(package)) as tar:
        manifest = tar.extractfile("sagemaker_edge_manifest")
        assert manifest is not None
        if shown["ModelSignature"].encode() not in manifest.read():
            yield "its package carries another signature than is described"
    if job.house.weed.content(parse_object_uri(job.row.compiled_model.artifact_uri)) and not verdict.files:
        yield "its package is empty"


def _of_a_component(job: Job, shown: dict[str, Any]) -> Iterator[str]:
    with job.house.real.read() as connection:
        query = sa.select(component_versions).where(component_versions.c.source_arn == job.row.arn)
        found = [row._asdict() for row in connection.execute(query)]
    told = shown.get("PresetDeploymentOutput", {})
    if [row["arn"] for row in found] != ([told["Artifact"]] if "Artifact" in told else []):
        yield f"the components {found} are there, {told} is described"
    if job.row.status == "COMPLETED" and (job.row.output_config.preset_deployment_type is not None) != bool(found):
        yield "it COMPLETED without its component"
    if found and "ModelArtifact" in shown and shown["ModelArtifact"].encode() not in found[0]["recipe"]:
        yield "its component has another artifact"


def _of_a_compiled_model(job: Job, shown: dict[str, Any]) -> Iterator[str]:
    uri, written = shown["ModelArtifacts"]["S3ModelArtifacts"], _written(job)
    if not uri:
        if job.row.status == "COMPLETED" and "is gone" not in shown["FailureReason"]:
            yield "it COMPLETED without a compiled model"
        if "ModelDigests" in shown or written:
            yield f"it left {written} and describes none"
        return
    address = parse_object_uri(uri)
    if job.row.status != "COMPLETED" or written != [address]:
        yield f"it is {job.row.status}, describes {address} and has written {written}"
        return
    content = job.house.weed.content(address)
    if hashlib.blake2b(content).hexdigest() != shown["ModelDigests"]["ArtifactDigest"]:
        yield "its compiled model has another digest than is described"
    if content != job.house.weed.content(parse_object_uri(shown["InputConfig"]["S3Uri"])):
        yield "its compiled model is not what it was made of"
    if job.house.weed.store.head(address).etag != job.row.artifact_etag:
        yield "its compiled model has another ETag than its row"


def _written(job: Job) -> list[S3Address]:
    """The objects that bear the job's mark."""
    house, found = job.house, []
    for page in house.weed.client.get_paginator("list_objects_v2").paginate(
        Bucket=house.bucket, Prefix=f"{job.prefix}/"
    ):
        found += [S3Address(house.bucket, each["Key"]) for each in page.get("Contents", [])]
    return [each for each in found if (mark := house.weed.store.head(each).mark) and mark.owner == job.row.arn]
