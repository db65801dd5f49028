"""`edgepack serve`, `worker` and `env` as a user meets them when something is wrong, and when it is right."""

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from driving import compiled, create_packaging, describe_packaging
from edgepack.cli.children import MAX_RESTART_SECONDS, RESTART_SECONDS, SETTLED_SECONDS, RestartPause
from edgepack.database.engine import Database
from edgepack.database.schema import access_keys
from edgepack.tether import tied
from harness import EDGEPACK, RunningServer, start_server, wait_for

SECONDS = 60


def edgepack(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = tied([*EDGEPACK, *arguments])
    return subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, env={**os.environ, **environment}, check=False
    )


@pytest.mark.parametrize(
    ("flags", "environment", "says"),
    [
        (["--port", "70000"], {}, "'port' is 70000"),
        (["--region", "us east"], {}, "'region' is 'us east'"),
        (["--account-id", "1"], {}, "12 digits"),
        (["--s3-endpoint", "ftp://store"], {}, "'s3_endpoint' is 'ftp://store'"),
        (["--s3-endpoint", "http://[::1"], {}, "'s3_endpoint' is 'http://[::1'"),
        (["--s3-endpoint", "http://127.0.0.1:1"], {}, "needs its access key"),
        (["--kms-endpoint", "bogus"], {}, "'kms_endpoint' is 'bogus'"),
        (["--s3-endpoint", "http://somebody:pw@store"], {}, "'s3_endpoint' has a user or password in it"),
        ([], {"EDGEPACK_DATABASE": ""}, "'database' is empty"),
        ([], {"EDGEPACK_S3_SECRET_ACCESS_KEY": ""}, "'s3_secret_access_key' is empty"),
        ([], {"EDGEPACK_PROT": "1"}, "Unknown setting 'prot'"),
    ],
)
def test_a_setting_that_cannot_be_is_a_usage_error(
    tmp_path: Path, flags: list[str], environment: dict[str, str], says: str
) -> None:
    done = edgepack("serve", "--data", str(tmp_path / "data"), *flags, **environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--database", "mysql://x/y"], "'mysql' is not supported"),
        (["--database", "sqlite://"], "names no file"),
        (["--database", "postgresql://nobody@127.0.0.1:1/none"], "The database failed"),
        (["--database", "postgresql://nobody@127.0.0.1:port/none"], "is not a URL"),
        (["--database", "postgresql://nobody@127.0.0.1:1/none?bogus=1"], "The database failed"),
        (["--weed", "/no/such/weed"], "/no/such/weed is not a program"),
        (["--host", "300.1.1.1"], "Give an address of this machine with --host"),
        (["--s3-endpoint", "http://127.0.0.1:1", "--s3-access-key-id", "a"], "http://127.0.0.1:1 cannot be reached"),
    ],
)
def test_what_cannot_be_reached_or_found_ends_the_start(tmp_path: Path, flags: list[str], says: str) -> None:
    done = edgepack(
        *("serve", "--data", str(tmp_path / "data"), "--port", "0", "--s3-port", "0", *flags),
        EDGEPACK_S3_SECRET_ACCESS_KEY="secret",
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_database_ends_the_start_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "data" / "edgepack.db"
    file.parent.mkdir(mode=0o700)
    file.write_bytes(b"no database" * 1000)
    done = edgepack("serve", "--data", str(tmp_path / "data"), "--port", "0", "--s3-port", "0")
    assert done.returncode == 1
    assert "file is not a database" in done.stderr
    assert "Traceback" not in done.stderr
    assert file.read_bytes() == b"no database" * 1000


def test_a_server_without_the_keys_of_its_database_makes_none(server: RunningServer, tmp_path: Path) -> None:
    """They would be another root's, and the access keys in the database could not be opened by them."""
    database = f"sqlite:///{server.data / 'edgepack.db'}"
    bare, other = tmp_path / "bare", tmp_path / "other"
    subprocess.run([*EDGEPACK, "keys", "create", "--data", str(other)], check=True, capture_output=True)
    for folder in (bare, other):
        flags = ("--port", "0", "--s3-port", "0", "--account-id", "222222222222", "--workers", "0")
        done = edgepack("serve", "--data", str(folder), *flags, EDGEPACK_DATABASE=database)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert "copy it from the server that was started first" in done.stderr
    assert not (bare / "keys").exists() or not list((bare / "keys").glob("*.pem"))
    assert "222222222222" not in {key["account_id"] for key in access_keys_of(server)}


@pytest.mark.parametrize(
    ("service", "says"), [("S3", "does not accept the access key"), ("SAGEMAKER", "--s3-endpoint")]
)
def test_a_worker_whose_store_does_not_know_it_takes_no_job(server: RunningServer, service: str, says: str) -> None:
    """Each would fail at once, and it would be the first to take the next one."""
    store = {
        "EDGEPACK_S3_ENDPOINT": server.environment[f"AWS_ENDPOINT_URL_{service}"],
        "EDGEPACK_S3_ACCESS_KEY_ID": server.environment["AWS_ACCESS_KEY_ID"],
        "EDGEPACK_S3_SECRET_ACCESS_KEY": "another",
    }
    done = edgepack("worker", "--data", str(server.data), **store)
    assert done.returncode == 1
    assert says in done.stderr


def access_keys_of(server: RunningServer) -> list[dict[str, Any]]:
    opened = Database(f"sqlite:///{server.data / 'edgepack.db'}")
    try:
        with opened.read() as connection:
            return [dict(row) for row in connection.execute(sa.select(access_keys)).mappings()]
    finally:
        opened.close()


def test_a_port_that_is_taken_ends_the_start_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = edgepack("serve", "--data", str(tmp_path / "data"), "--port", port, "--s3-port", "0")
    assert done.returncode == 1
    assert "Choose another port" in done.stderr
    assert not (tmp_path / "data" / "store").exists()


@pytest.mark.parametrize("command", [["env"], ["worker"]])
def test_without_a_server_they_say_so(tmp_path: Path, command: list[str]) -> None:
    edgepack("package", "/dev/null", "--name", "n", "--version", "v", "--out", "-", "--data", str(tmp_path))
    done = edgepack(*command, "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "No server has been started with the data folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.server
def test_one_server_for_a_data_folder(server: RunningServer) -> None:
    done = edgepack("serve", "--data", str(server.data), "--port", "0", "--s3-port", "0")
    assert done.returncode == 1
    assert "Another edgepack server uses the data folder" in done.stderr


@pytest.mark.server
def test_the_ready_line_is_the_one_that_programs_wait_for(server: RunningServer) -> None:
    url = r"http://127\.0\.0\.1:\d+"
    assert re.fullmatch(rf"edgepack ready api={url} s3={url} console={url}/console\n", server.ready_line)


@pytest.mark.server
def test_the_environment_is_complete(server: RunningServer) -> None:
    found = json.loads(edgepack("env", "--data", str(server.data), "--format", "json").stdout)
    services = ("SAGEMAKER", "SAGEMAKER_EDGE", "GREENGRASSV2", "S3", "STS", "KMS")
    assert {f"AWS_ENDPOINT_URL_{name}" for name in services} <= found.keys()
    assert found["AWS_ACCESS_KEY_ID"].startswith("AKIA")
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "us-east-1"


@pytest.mark.server
def test_the_environment_does_not_depend_on_a_store_of_one_s_own(server: RunningServer) -> None:
    done = edgepack("env", "--data", str(server.data), EDGEPACK_S3_SECRET_ACCESS_KEY="of another store")
    assert done.returncode == 0


@pytest.mark.server
def test_another_key_s_session_token_is_taken_out_of_the_way(server: RunningServer) -> None:
    script = f'eval "$({" ".join(EDGEPACK)} env --data "{server.data}")" && echo "[$AWS_SESSION_TOKEN]"'
    environment = {**os.environ, "AWS_SESSION_TOKEN": "of somebody else"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.server
def test_a_worker_beside_a_server_needs_its_data_folder_alone(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", "--workers", "0")
    try:
        with (tmp_path / "worker.log").open("wb") as log:
            worker = subprocess.Popen(tied([*EDGEPACK, "worker", "--data", str(server.data)]), stdout=log, stderr=log)
        try:
            compiled(server, "source")
            create_packaging(server, "package", "source")
            found = wait_for(lambda: describe_packaging(server, "package"), "EdgePackagingJobStatus")
            assert found["EdgePackagingJobStatus"] == "COMPLETED"
        finally:
            worker.terminate()
            assert worker.wait(SECONDS) == 0
    finally:
        server.stop()


@pytest.mark.server
def test_a_server_in_a_pid_namespace_of_its_own_runs_jobs(tmp_path: Path) -> None:
    """As in a container, where it is process 1 and its children's parent has that number too."""
    unshare = ["/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make namespaces")
    data = tmp_path / "data"
    log = (tmp_path / "log").open("wb")
    with log:
        process = subprocess.Popen(
            tied([*unshare, *EDGEPACK, "serve", "--data", str(data), "--port", "0", "--s3-port", "0"]),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        server = RunningServer(data, process, process.stdout.readline())
        server.environment = json.loads(edgepack("env", "--data", str(data), "--format", "json").stdout)
        compiled(server, "source")
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_what_ends_at_once_is_started_again_ever_more_slowly_but_soon_enough() -> None:
    now = [0.0]
    pause = RestartPause(monotonic=lambda: now[0])
    waits = []
    for _ in range(5):
        pause.started()
        waits.append(pause.after_end())
    assert waits[0] == RESTART_SECONDS
    assert waits == sorted(waits)
    assert waits[-1] == MAX_RESTART_SECONDS
    pause.started()
    now[0] += SETTLED_SECONDS + 1
    assert pause.after_end() == RESTART_SECONDS


def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    script = f"""
import subprocess, sys, time
from edgepack.tether import tied
child = subprocess.Popen(tied(["/bin/sleep", "60"]))
open({str(mine)!r}, "w").write(str(child.pid))
time.sleep(60)
"""
    parent = subprocess.Popen([EDGEPACK[0], "-c", script])
    deadline = time.monotonic() + SECONDS
    while not (mine.exists() and mine.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    child = Path(f"/proc/{mine.read_text()}/cmdline")
    while child.exists() and b"sleep" in child.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.02)
