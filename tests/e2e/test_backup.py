"""Backup, loss of everything, restore elsewhere: jobs, packages, keys and clients go on as if nothing had been."""

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from driving import (
    BUCKET,
    client_with,
    compiled,
    create_packaging,
    describe_packaging,
    fetched,
    key_of,
    packaged,
    put,
)
from e2e.workers import in_progress, workers_of
from harness import EDGEPACK, RunningServer, start_server, wait_for
from models import tar_gz
from postgres import with_programs

pytestmark = pytest.mark.server

LARGE = 96 << 20
OTHER_ACCOUNT = "111122223333"


def run(*arguments: object, database: str | None = None) -> str:
    environment = with_programs(os.environ) | ({} if database is None else {"EDGEPACK_DATABASE": database})
    done = subprocess.run(
        [*EDGEPACK, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def answers(server: RunningServer) -> list[bytes]:
    """The bodies of every read, as they come over the wire."""
    bodies: list[bytes] = []
    client = server._made_client("sagemaker", {})
    client.meta.events.register(
        "before-parse.sagemaker.*", lambda response_dict, **_: bodies.append(response_dict["body"])
    )
    client.describe_compilation_job(CompilationJobName="source")
    arn = client.describe_edge_packaging_job(EdgePackagingJobName="done")["EdgePackagingJobArn"]
    assert client.list_tags(ResourceArn=arn)["Tags"]
    client.list_edge_packaging_jobs(NameContains="done")
    client.list_compilation_jobs()
    return bodies


def objects(server: RunningServer) -> list[tuple[Any, ...]]:
    """Every version of every object with what makes it that one."""
    found = server.client("s3").list_object_versions(Bucket=BUCKET)["Versions"]
    return [
        (each["Key"], each["VersionId"], each["ETag"], each["Size"], each["LastModified"])
        for each in found
        if not each["Key"].startswith("in-flight/")
    ]


def fill(server: RunningServer) -> None:
    """Jobs that have ended, a component, tags and versions of an object."""
    put(server, "in/model.tar.gz", b"first")
    server.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    put(server, "in/model.tar.gz", b"second")
    compiled(server, "source")
    compiled(server, "large", tar_gz({"compiled.params": os.urandom(LARGE)}, level=0))
    output = {"S3OutputLocation": f"s3://{BUCKET}/packaged", "PresetDeploymentType": "GreengrassV2Component"}
    job = packaged(server, "done", "source", OutputConfig=output, Tags=[{"Key": "team", "Value": "vision"}])
    assert job["PresetDeploymentOutput"]["Status"] == "COMPLETED"


def catch_in_flight(server: RunningServer) -> None:
    """Crash a worker, and then everything, in the middle of a job."""
    create_packaging(server, "in-flight", "large", OutputConfig={"S3OutputLocation": f"s3://{BUCKET}/in-flight"})
    in_progress(server, "in-flight")
    (worker,) = workers_of(server)
    os.kill(worker, signal.SIGKILL)
    server.kill()


def verified(server: RunningServer, job: dict[str, Any], trust: Path, folder: Path) -> bool:
    package = folder / "package.tar.gz"
    package.write_bytes(fetched(server, job["ModelArtifact"]))
    run("verify", package, "--trust", trust)
    return True


def test_a_server_goes_on_elsewhere(
    tmp_path: Path, new_server_database: Callable[[], str | None], server_database: str | None
) -> None:
    data, trust = tmp_path / "data", tmp_path / "trust.pem"
    server = start_server(data, "--workers", "1", database=server_database)
    try:
        fill(server)
        other, before, stored, key = key_of(server, OTHER_ACCOUNT), answers(server), objects(server), server.environment
        run("keys", "export-trust", "--data", data, "--out", trust)
        catch_in_flight(server)
    finally:
        server.kill()

    run("backup", "--data", data, "--out", tmp_path / "backup.tar", database=server_database)
    assert (tmp_path / "backup.tar").stat().st_mode & 0o777 == 0o600
    shutil.rmtree(data)
    new_database, elsewhere = new_server_database(), tmp_path / "other" / "place"
    run("restore", tmp_path / "backup.tar", "--data", elsewhere, database=new_database)
    for path in elsewhere.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path

    again = start_server(elsewhere, "--workers", "1", database=new_database)
    try:
        assert [again.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")] == [
            key[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        ]
        assert answers(again) == before
        assert objects(again) == stored
        assert client_with(again, "sts", other).get_caller_identity()["Account"] == OTHER_ACCOUNT
        assert client_with(again, "sagemaker", other).list_edge_packaging_jobs()["EdgePackagingJobSummaries"] == []
        assert verified(again, describe_packaging(again, "done"), trust, tmp_path)
        found = wait_for(lambda: describe_packaging(again, "in-flight"), "EdgePackagingJobStatus")
        assert found["EdgePackagingJobStatus"] == "COMPLETED", found
        assert verified(again, found, trust, tmp_path)
        new = packaged(again, "new", "source")
        assert new["EdgePackagingJobStatus"] == "COMPLETED", new
        assert verified(again, new, trust, tmp_path)
        run("keys", "export-trust", "--data", elsewhere, "--out", tmp_path / "again.pem")
        assert (tmp_path / "again.pem").read_bytes() == trust.read_bytes()
    finally:
        again.stop()


def test_a_data_folder_that_was_moved_is_as_good_as_before(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", "--workers", "0")
    uri = put(server, "in/kept", b"kept")
    server.stop()
    (tmp_path / "data").rename(tmp_path / "moved")
    again = start_server(tmp_path / "moved", "--workers", "0")
    try:
        assert fetched(again, uri) == b"kept"
    finally:
        again.stop()


def test_a_lost_sealing_key_costs_the_access_keys_alone(tmp_path: Path) -> None:
    """As docs/operations.md has it."""
    data = tmp_path / "data"
    server = start_server(data)
    compiled(server, "source")
    job = packaged(server, "done", "source")
    server.stop()
    run("keys", "export-trust", "--data", data, "--out", tmp_path / "trust.pem")
    (data / "keys" / "sealing.key").unlink()
    command = [*EDGEPACK, "serve", "--data", str(data), "--port", "0", "--s3-port", "0"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "belongs to this database" in refused.stderr
    with closing(sqlite3.connect(data / "edgepack.db")) as connection:
        connection.execute("DELETE FROM access_keys")
        connection.commit()
    again = start_server(data)
    try:
        assert again.environment["AWS_ACCESS_KEY_ID"] != server.environment["AWS_ACCESS_KEY_ID"]
        assert describe_packaging(again, "done") == job
        assert verified(again, packaged(again, "new", "source"), tmp_path / "trust.pem", tmp_path)
    finally:
        again.stop()
