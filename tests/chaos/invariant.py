"""What must be true at the end of a run, found out by other means than the service's own."""

import io
import json
import subprocess
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chaos import engine_rows, ledger
from chaos.plan import PACKAGING, SOURCES, Planned
from driving import BUCKET, fetched
from edgepack.database import schema
from edgepack.database.engine import Database
from edgepack.jobs.lifecycle import ACTIVE, FINAL, MAX_DEATHS, NEXT
from edgepack.keys.signing import export_trust
from edgepack.objects.info import OWNER_METADATA
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from harness import RunningServer

MANIFEST = "sagemaker_edge_manifest"
SAMPLE = 3
"""Packages that OpenSSF's own verifier sees too; it takes a second for each."""

GONE = " is gone: "
"""In the message of a job whose result another job has replaced."""


class Invariant:
    """Collects what is wrong: nothing, if all is well.

    Args:
        server: The server.
        database: Its database.
        planned: Every job that was created.
        folder: An empty folder.
    """

    def __init__(self, server: RunningServer, database: Database, planned: Sequence[Planned], folder: Path) -> None:
        self._server = server
        self._database = database
        self._planned = planned
        self._folder = folder
        self._trust = TrustRoots.from_pem(export_trust(server.data))
        self._described = {job.name: self._describe(job) for job in planned}
        self._sampled = 0

    def violations(self) -> list[str]:
        """Everything that is wrong."""
        return [
            *(f"{job.name}: {problem}" for job in self._planned for problem in self._of_job(job)),
            *self._of_history(),
            *self._of_rows(),
            *self._of_store(),
        ]

    def status(self, job: Planned) -> str:
        """What Describe says."""
        found: str = self._described[job.name]["status"]
        return found

    def _describe(self, job: Planned) -> dict[str, Any]:
        client = self._server.client("sagemaker")
        if job.kind == PACKAGING:
            found: dict[str, Any] = client.describe_edge_packaging_job(EdgePackagingJobName=job.name)
            return found | {
                "status": found["EdgePackagingJobStatus"],
                "artifact": found.get("ModelArtifact", ""),
                "message": found.get("EdgePackagingJobStatusMessage", ""),
            }
        found = client.describe_compilation_job(CompilationJobName=job.name)
        return found | {
            "status": found["CompilationJobStatus"],
            "artifact": found["ModelArtifacts"]["S3ModelArtifacts"],
            "message": found["FailureReason"],
        }

    def _of_job(self, job: Planned) -> Iterator[str]:
        found = self._described[job.name]
        if found["status"] not in job.ends:
            yield f"ended as {found['status']}: {found['message']}"
        if found["status"] != "COMPLETED":
            if found["artifact"]:
                yield f"{found['status']}, and promises {found['artifact']}"
        elif not found["artifact"]:
            if GONE not in found["message"]:
                yield "COMPLETED without an artifact"
        elif job.kind == PACKAGING:
            yield from self._of_package(job, found)
        elif job.source is not None:
            yield from _differences(fetched(self._server, found["artifact"]), SOURCES[job.source])

    def _of_package(self, job: Planned, found: dict[str, Any]) -> Iterator[str]:
        package = fetched(self._server, found["ModelArtifact"])
        verdict = verify_package([package], trust=self._trust, now=datetime.now(UTC))
        if not verdict.ok:
            yield f"not verified: {verdict.problems}"
        with tarfile.open(fileobj=io.BytesIO(package)) as tar:
            member = tar.extractfile(MANIFEST)
            assert member is not None
            manifest = json.load(member)
        if manifest["signature"] != json.loads(found["ModelSignature"]):
            yield "another signature is described than the package has"
        metadata = manifest["metadata"]
        if (metadata["model_name"], metadata["model_version"]) != (job.request["ModelName"], "1.0"):
            yield f"the manifest is another model's: {metadata}"
        assert job.source is not None
        yield from _differences(package, SOURCES[job.source])
        yield from self._of_component(job, found)
        if self._sampled < SAMPLE:
            self._sampled += 1
            yield from self._by_model_signing(job.name, package, manifest)

    def _of_component(self, job: Planned, found: dict[str, Any]) -> Iterator[str]:
        if "PresetDeploymentType" not in job.request["OutputConfig"]:
            return
        output = found["PresetDeploymentOutput"]
        if output["Status"] != "COMPLETED":
            yield f"the preset deployment is {output}"
            return
        table = schema.component_versions
        with self._database.read() as connection:
            query = sa.select(table.c.recipe, table.c.source_arn).where(table.c.arn == output["Artifact"])
            row = connection.execute(query).first()
        if row is None or row[1] != found["EdgePackagingJobArn"]:
            yield f"there is no component {output['Artifact']} of this job's"
        elif found["ModelArtifact"] not in json.dumps(json.loads(row[0])):
            yield "the component's recipe names another artifact"

    def _by_model_signing(self, name: str, package: bytes, manifest: dict[str, Any]) -> Iterator[str]:
        folder = self._folder / f"sampled-{name}"
        (folder / "model").mkdir(parents=True)
        subprocess.run(["tar", "-xzf", "-", "-C", folder / "model"], input=package, check=True)
        (folder / "model.sig").write_text(json.dumps(manifest["signature"]))
        (folder / "root.pem").write_bytes(export_trust(self._server.data))
        verifier = str(Path(sys.executable).with_name("model_signing"))
        command = [verifier, "verify", "certificate", "--certificate_chain", "root.pem", "--signature", "model.sig"]
        command += ["--ignore-paths", f"model/{MANIFEST}", "model"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            yield f"model_signing does not verify it: {done.stderr}"

    def _of_history(self) -> Iterator[str]:
        """Every job's statuses followed each other as they may, and it ended once."""
        histories: dict[tuple[str, str], list[ledger.Entry]] = defaultdict(list)
        for entry in ledger.read(self._database):
            histories[entry.kind, entry.name].append(entry)
        for (kind, name), entries in histories.items():
            told = f"{kind} {name}: {[(entry.before, entry.after, entry.attempt) for entry in entries]}"
            if (entries[0].before, entries[0].after) != (None, "STARTING"):
                yield f"did not begin as STARTING: {told}"
            for earlier, later in pairwise(entries):
                if later.before != earlier.after or not _may_follow(earlier, later):
                    yield f"an illegal change: {told}"
            if [entry.after in FINAL for entry in entries].count(True) != 1 or entries[-1].after not in FINAL:
                yield f"did not end once: {told}"
            if entries[-1].deaths > MAX_DEATHS:
                yield f"was begun after {MAX_DEATHS} deaths: {told}"
        missing = [job.name for job in self._planned if (job.kind, job.name) not in histories]
        if missing:
            yield f"created, and not there: {missing}"

    def _of_rows(self) -> Iterator[str]:
        """Nobody is about to do anything, and nothing is left to be removed."""
        for workflow in engine_rows.unfinished(self._database):
            yield f"an unfinished workflow: {workflow}"
        completed = {
            self._described[job.name]["EdgePackagingJobArn"]
            for job in self._planned
            if job.kind == PACKAGING and self.status(job) == "COMPLETED"
        }
        with self._database.read() as connection:
            writers = sa.select(schema.outputs).where(schema.outputs.c.writer_arn.is_not(None))
            for row in connection.execute(writers).all():
                yield f"a place with a writer: {row}"
            for row in connection.execute(sa.select(schema.uploads)).all():
                yield f"an upload that is noted: {row}"
            for arn in connection.execute(sa.select(schema.component_versions.c.source_arn)).scalars():
                if arn not in completed:
                    yield f"a component of a job that has not completed: {arn}"

    def _of_store(self) -> Iterator[str]:
        """No open uploads, and no object that no job promises."""
        s3 = self._server.client("s3")
        for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            yield f"an open upload: {upload['Key']} {upload['UploadId']}"
        promised = {found["artifact"] for found in self._described.values()}
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for each in page.get("Contents", []):
                head = s3.head_object(Bucket=BUCKET, Key=each["Key"])
                if OWNER_METADATA in head["Metadata"] and f"s3://{BUCKET}/{each['Key']}" not in promised:
                    yield f"an object that nobody promises: {each['Key']} of {head['Metadata']}"


def _may_follow(earlier: ledger.Entry, later: ledger.Entry) -> bool:
    if later.attempt != earlier.attempt:
        # Another attempt begins at a job that has not ended, and changes nothing else.
        return later.attempt == earlier.attempt + 1 and later.after == earlier.after and earlier.after in ACTIVE
    return later.after in NEXT[earlier.after]


def _differences(archive: bytes, files: dict[str, bytes]) -> Iterator[str]:
    """The archive's members are the source's, byte for byte and in their order."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found: dict[str, bytes] = {}
        for member in tar:
            content = tar.extractfile(member)
            found[member.name] = b"" if content is None else content.read()
    found.pop(MANIFEST, None)
    if list(found.items()) != list(files.items()):
        yield f"its files are not the source's: {[(name, len(content)) for name, content in found.items()]}"
