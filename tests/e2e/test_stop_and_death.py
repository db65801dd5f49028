"""Stop at any moment, and workers that are killed: one ending, and nothing left behind."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from driving import (
    BUCKET,
    compiled,
    create_compilation,
    create_packaging,
    describe_compilation,
    describe_packaging,
    nothing_left,
    packaged,
    put,
)
from e2e.workers import LARGE, in_progress, location, workers_of
from harness import RunningServer, start_server, wait_for
from models import compiled_archive, onnx_archive, tar_gz

pytestmark = pytest.mark.server

RUNNING = frozenset({"INPROGRESS", "COMPLETED", "FAILED"})


def test_stop_while_bytes_flow(own_server: RunningServer, large: str) -> None:
    create_packaging(own_server, "stopped-midway", large, OutputConfig=location("stopped-midway"))
    in_progress(own_server, "stopped-midway")
    client = own_server.client("sagemaker")
    answer = client.stop_edge_packaging_job(EdgePackagingJobName="stopped-midway")
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-length"] == "0"
    client.stop_edge_packaging_job(EdgePackagingJobName="stopped-midway")
    found = wait_for(lambda: describe_packaging(own_server, "stopped-midway"), "EdgePackagingJobStatus")
    assert found["EdgePackagingJobStatus"] == "STOPPED"
    assert found["EdgePackagingJobStatusMessage"]
    assert "ModelArtifact" not in found
    assert nothing_left(own_server, "stopped-midway/")
    client.stop_edge_packaging_job(EdgePackagingJobName="stopped-midway")


def test_stop_of_a_job_that_still_waits(own_server: RunningServer, large: str) -> None:
    create_packaging(own_server, "in-front", large, OutputConfig=location("in-front"))
    in_progress(own_server, "in-front")
    create_packaging(own_server, "waiting", large, OutputConfig=location("waiting"))
    client = own_server.client("sagemaker")
    client.stop_edge_packaging_job(EdgePackagingJobName="waiting")
    assert describe_packaging(own_server, "waiting")["EdgePackagingJobStatus"] == "STOPPED"
    found = wait_for(lambda: describe_packaging(own_server, "in-front"), "EdgePackagingJobStatus")
    assert found["EdgePackagingJobStatus"] == "COMPLETED", found
    after = packaged(own_server, "after", large, OutputConfig=location("after"))
    assert after["EdgePackagingJobStatus"] == "COMPLETED"
    assert describe_packaging(own_server, "waiting")["EdgePackagingJobStatus"] == "STOPPED"
    assert nothing_left(own_server, "waiting/")


def test_a_stopped_job_does_not_remove_what_was_there_before(own_server: RunningServer, large: str) -> None:
    shared = {"OutputConfig": location("kept"), "ModelName": "kept"}
    first = packaged(own_server, "kept-1", large, **shared)
    create_packaging(own_server, "kept-2", large, **shared)
    in_progress(own_server, "kept-2", "kept")
    own_server.client("sagemaker").stop_edge_packaging_job(EdgePackagingJobName="kept-2")
    wait_for(lambda: describe_packaging(own_server, "kept-2"), "EdgePackagingJobStatus")
    head = own_server.client("s3").head_object(Bucket=BUCKET, Key="kept/kept-1.0.tar.gz")
    assert head["ContentLength"] > LARGE
    assert first["ModelArtifact"].endswith("kept/kept-1.0.tar.gz")


def test_a_second_job_with_the_same_output_is_refused_while_one_runs(own_server: RunningServer, large: str) -> None:
    shared = {"OutputConfig": location("contended"), "ModelName": "contended"}
    create_packaging(own_server, "contended-1", large, **shared)
    with pytest.raises(ClientError, match="Another job is writing"):
        create_packaging(own_server, "contended-2", large, **shared)
    found = wait_for(lambda: describe_packaging(own_server, "contended-1"), "EdgePackagingJobStatus")
    assert found["EdgePackagingJobStatus"] == "COMPLETED"
    again = packaged(own_server, "contended-3", large, **shared)
    assert again["EdgePackagingJobStatus"] == "COMPLETED"


def test_a_killed_worker_is_replaced_and_the_job_completes_once(own_server: RunningServer, large: str) -> None:
    create_packaging(own_server, "survivor", large, OutputConfig=location("survivor"))
    in_progress(own_server, "survivor")
    (worker,) = workers_of(own_server)
    os.kill(worker, signal.SIGKILL)
    found = wait_for(lambda: describe_packaging(own_server, "survivor"), "EdgePackagingJobStatus")
    assert found["EdgePackagingJobStatus"] == "COMPLETED", found
    uploads = own_server.client("s3").list_multipart_uploads(Bucket=BUCKET, Prefix="survivor/").get("Uploads", [])
    assert uploads == []


def test_stop_of_a_compilation_job(own_server: RunningServer) -> None:
    uri = put(own_server, "in/stoppable.tar.gz", tar_gz({"compiled.params": os.urandom(LARGE)}, level=0))
    create_compilation(own_server, "stoppable", uri)
    wait_for(lambda: describe_compilation(own_server, "stoppable"), "CompilationJobStatus", until=RUNNING)
    own_server.client("sagemaker").stop_compilation_job(CompilationJobName="stoppable")
    found = wait_for(lambda: describe_compilation(own_server, "stoppable"), "CompilationJobStatus")
    assert found["CompilationJobStatus"] == "STOPPED"
    assert found["ModelArtifacts"] == {"S3ModelArtifacts": ""}
    assert nothing_left(own_server, "compiled/stoppable/")


def test_a_server_that_is_killed_keeps_its_jobs(tmp_path: Path, server_database: str | None) -> None:
    server = start_server(tmp_path / "data", "--workers", "1", database=server_database)
    try:
        compiled(server, "before", tar_gz({"compiled.params": os.urandom(LARGE // 2)}, level=0))
        done = packaged(server, "done", "before", OutputConfig=location("done"))
        create_packaging(server, "cut-short", "before", OutputConfig=location("cut-short"))
        in_progress(server, "cut-short")
    finally:
        server.kill()
    again = start_server(tmp_path / "data", database=server_database)
    try:
        for member in ("ModelSignature", "ModelArtifact", "CreationTime", "LastModifiedTime"):
            assert describe_packaging(again, "done")[member] == done[member]
        found = wait_for(lambda: describe_packaging(again, "cut-short"), "EdgePackagingJobStatus")
        assert found["EdgePackagingJobStatus"] == "COMPLETED", found
    finally:
        again.stop()


def test_a_store_that_hangs_after_its_server_was_killed_is_replaced(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", "--workers", "0")
    put(server, "in/kept.tar.gz", b"kept")
    store = int((server.data / "store" / "lock").read_text().split()[1])
    os.kill(store, signal.SIGSTOP)
    server.kill()
    again = start_server(tmp_path / "data", "--workers", "0")
    try:
        assert again.client("s3").get_object(Bucket=BUCKET, Key="in/kept.tar.gz")["Body"].read() == b"kept"
    finally:
        again.stop()


def test_the_server_leaves_no_process_and_no_scratch(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data")
    compiled(server, "small", compiled_archive())
    put(server, "in/onnx.tar.gz", onnx_archive())
    children = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True).stdout.split()
    assert children
    server.stop()
    assert server.process.returncode == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert not list((server.data / "scratch").glob("*"))
