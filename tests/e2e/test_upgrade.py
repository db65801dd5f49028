"""A database of an earlier release, with jobs in flight, under this one: it is brought up to date, and they all end."""

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from database.earlier import EarlierRelease, written
from driving import create_compilation, create_packaging, describe_compilation, describe_packaging
from edgepack.database.engine import Database
from edgepack.database.migrate import upgrade
from edgepack.database.revision import REVISION, REVISIONS
from edgepack.keys.sealing import SecretBox
from edgepack.objects.address import S3Address, parse_object_uri
from harness import EDGEPACK, RunningServer, start_server, wait_for
from models import compiled_archive
from postgres import PostgresServer
from stores import RunningStore, running_store

pytestmark = pytest.mark.server

MODEL = compiled_archive()


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    """A store that does not belong to any server."""
    with running_store(tmp_path_factory.mktemp("store") / "store") as running:
        yield running


@pytest.fixture
def store_flags(weed: RunningStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How a server is told of it."""
    monkeypatch.setenv("EDGEPACK_S3_SECRET_ACCESS_KEY", weed.credential.secret_key)
    return ["--s3-endpoint", weed.embedded.endpoint, "--s3-access-key-id", weed.credential.access_key]


def raw_description(server: RunningServer, name: str) -> bytes:
    """What Describe answers, byte for byte."""
    client, bodies = server.client("sagemaker", retries={"max_attempts": 1}), []
    client.meta.events.register(
        "after-call.sagemaker.DescribeEdgePackagingJob",
        lambda http_response, **_: bodies.append(http_response.content),
    )
    client.describe_edge_packaging_job(EdgePackagingJobName=name)
    body: bytes = bodies[0]
    return body


def description_of_an_earlier_release(bucket: str) -> bytes:
    """A COMPLETED job's, with a signature of which nobody looks at the content any more."""
    return written(
        {
            "EdgePackagingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:edge-packaging-job/done",
            "EdgePackagingJobName": "done",
            "CompilationJobName": "model",
            "ModelName": "done",
            "ModelVersion": "1.0",
            "RoleArn": "arn:aws:iam::000000000000:role/SageMakerEdge",
            "OutputConfig": {"S3OutputLocation": f"s3://{bucket}/done"},
            "EdgePackagingJobStatus": "COMPLETED",
            "EdgePackagingJobStatusMessage": "Packaged and signed 3 files; the stored package has been checked.",
            "CreationTime": 1795667144.906968,
            "LastModifiedTime": 1795667145.298259,
            "ModelArtifact": f"s3://{bucket}/done/done-1.0.tar.gz",
            "ModelSignature": '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}',
        }
    )


@pytest.mark.parametrize("revision", [REVISIONS[0], REVISIONS[-2]])
def test_jobs_in_flight_outlive_an_upgrade(
    tmp_path: Path, database_url: str, weed: RunningStore, store_flags: list[str], revision: str
) -> None:
    bucket, shown = weed.new_bucket(), description_of_an_earlier_release("bucket")
    weed.put(S3Address(bucket, "in/model.tar.gz"), MODEL)
    artifact = weed.put(S3Address(bucket, "compiled/model/model-LINUX_ARM64.tar.gz"), MODEL)
    upload = weed.store.begin_upload(S3Address(bucket, "running/running-1.0.tar.gz"))

    database = Database(database_url)
    earlier = EarlierRelease(database, revision, bucket)
    where = {"artifact_uri": artifact.address.uri, "artifact_etag": artifact.etag, "artifact_digest": "d" * 128}
    model = earlier.compilation("model", "COMPLETED", **where)
    earlier.packaging("done", "COMPLETED", model, shown)
    queued, running, stopping = (
        earlier.packaging(name, status, model)
        for name, status in (("queued", "STARTING"), ("running", "INPROGRESS"), ("stopping", "STOPPING"))
    )
    for job in (queued, running, stopping):
        earlier.queued(job, "edge_packaging_job", "edge-packaging")
    for job in (running, stopping):
        earlier.taken(job, "dead-worker")
    earlier.began_upload(running, upload.upload_id)
    earlier.queued(earlier.compilation("compiling", "STARTING"), "compilation_job", "compilation")
    database.close()

    server = start_server(tmp_path / "data", "--workers", "1", *store_flags, database=database_url)
    try:
        for name, status in {"queued": "COMPLETED", "running": "COMPLETED", "stopping": "STOPPED"}.items():
            found = wait_for(lambda name=name: describe_packaging(server, name), "EdgePackagingJobStatus")  # type: ignore[misc]
            assert found["EdgePackagingJobStatus"] == status, found
            if status == "COMPLETED":
                require_verified(server, weed, found["ModelArtifact"], tmp_path)
        compiled = wait_for(lambda: describe_compilation(server, "compiling"), "CompilationJobStatus")
        assert weed.content(parse_object_uri(compiled["ModelArtifacts"]["S3ModelArtifacts"])) == MODEL
        assert raw_description(server, "done") == shown
        assert names(server, NameContains="n") == ["done", "running", "stopping"]
        assert weed.store.list_uploads(bucket) == []
        assert weed.is_untouched(bucket, "stopping/")
        create_packaging(server, "new", "compiling", OutputConfig={"S3OutputLocation": f"s3://{bucket}/new"})
        new = wait_for(lambda: describe_packaging(server, "new"), "EdgePackagingJobStatus")
        assert new["EdgePackagingJobStatus"] == "COMPLETED", new
    finally:
        server.stop()


def names(server: RunningServer, **filters: Any) -> list[str]:
    found = server.client("sagemaker").list_edge_packaging_jobs(SortBy="NAME", SortOrder="Ascending", **filters)
    return [job["EdgePackagingJobName"] for job in found["EdgePackagingJobSummaries"]]


def require_verified(server: RunningServer, weed: RunningStore, artifact: str, folder: Path) -> None:
    """The package is there, and passes by the server's own root certificate."""
    package, trust = folder / "package.tar.gz", folder / "trust.pem"
    package.write_bytes(weed.content(parse_object_uri(artifact)))
    subprocess.run([*EDGEPACK, "keys", "export-trust", "--data", server.data, "--out", trust], check=True)
    subprocess.run([*EDGEPACK, "verify", package, "--trust", trust], check=True)


def test_servers_that_start_at_once_on_an_empty_database_both_serve(
    tmp_path: Path, postgres: PostgresServer, weed: RunningStore, store_flags: list[str]
) -> None:
    url, bucket = postgres.new_database(), weed.new_bucket()
    folders = [tmp_path / "one", tmp_path / "two"]
    SecretBox.open(folders[0])  # makes the key that all of them must have
    shutil.copytree(folders[0], folders[1])
    with ThreadPoolExecutor(2) as pool:  # to the end: a server ends with the thread that has started it
        starting = [
            pool.submit(start_server, folder, "--workers", str(workers), *store_flags, database=url)
            for folder, workers in zip(folders, (0, 1), strict=True)
        ]
        one, two = (start.result() for start in starting)
        try:
            assert one.environment["AWS_ACCESS_KEY_ID"] == two.environment["AWS_ACCESS_KEY_ID"]
            weed.put(S3Address(bucket, "in/model.tar.gz"), MODEL)
            output = {
                "S3OutputLocation": f"s3://{bucket}/out",
                "TargetDevice": "rasp4b",
                "CompilerOptions": '{"compiler": "none"}',
            }
            create_compilation(one, "shared", f"s3://{bucket}/in/model.tar.gz", OutputConfig=output)
            found = wait_for(lambda: describe_compilation(two, "shared"), "CompilationJobStatus")
            assert found["CompilationJobStatus"] == "COMPLETED", found
            assert describe_compilation(one, "shared")["ModelArtifacts"] == found["ModelArtifacts"]
        finally:
            one.stop()
            two.stop()


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        (None, "has no tables of edgepack's"),
        (REVISIONS[-2], f"has the schema {REVISIONS[-2]} of an older edgepack"),
        ("9999", "has been upgraded by a newer edgepack"),
    ],
)
def test_a_worker_with_another_release_s_database_says_what_to_do(
    tmp_path: Path, database_url: str, store_flags: list[str], revision: str | None, says: str
) -> None:
    at_revision(database_url, revision)
    told = refused("worker", "--data", str(tmp_path / "data"), "--database", database_url, *store_flags)
    assert says in told
    assert "Traceback" not in told
    assert ("Upgrade this edgepack" if revision == "9999" else "Start `edgepack serve` of this version") in told


def test_a_server_leaves_a_newer_release_s_database_alone(tmp_path: Path, database_url: str) -> None:
    at_revision(database_url, "9999")
    told = refused("serve", "--data", str(tmp_path / "data"), "--database", database_url)
    assert f"its schema is 9999, this one knows {REVISION}" in told
    assert "Traceback" not in told


def at_revision(url: str, revision: str | None) -> None:
    """Have a database say that it is at a revision."""
    database = Database(url)
    if revision is not None:
        upgrade(database)
        with database.write() as connection:
            connection.exec_driver_sql(f"UPDATE edgepack_schema_version SET version_num = '{revision}'")
    database.close()


def refused(*arguments: str) -> str:
    """What a command says that ends at once with exit code 1."""
    done = subprocess.run([*EDGEPACK, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done
    return done.stderr
