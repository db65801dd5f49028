"""API servers and workers, each with a data folder of its own, on one PostgreSQL and one S3 of somebody else."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import boto3
import psycopg
import pytest

from cli.running import edgepack
from driving import BUCKET, compiled, create_packaging, describe_packaging, fetched, put
from edgepack.tether import tied
from harness import EDGEPACK, ROLE, RunningServer, settings_of, start_server, wait_for
from models import tar_gz
from postgres import PostgresServer
from stores import RunningStore, running_store

pytestmark = pytest.mark.server


@dataclass
class Site:
    """What the machines share, and the two API servers."""

    folder: Path
    database: str
    store: RunningStore
    servers: tuple[RunningServer, RunningServer]

    def machine(self, name: str) -> Path:
        """A data folder with nothing in it but a copy of the keys."""
        data = self.folder / name
        shutil.copytree(self.folder / "keys-made-once" / "keys", data / "keys")
        return data

    @contextmanager
    def worker(self, data: Path) -> Iterator["subprocess.Popen[bytes]"]:
        log = (self.folder / f"{data.name}.log").open("ab")
        environment = os.environ | settings_of(self.database, self.store.address)
        with log:
            process = subprocess.Popen(
                tied([*EDGEPACK, "worker", "--data", str(data)]), env=environment, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def site(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Both servers start at the same moment, on an empty database."""
    folder, database = tmp_path_factory.mktemp("site"), postgres.new_database()
    edgepack("keys", "create", "--data", "keys-made-once", folder=folder)
    with running_store(folder / "s3") as store, ThreadPoolExecutor(2) as pool:
        made = Site(folder, database, store, servers=())  # type: ignore[arg-type]
        starts = [
            pool.submit(start_server, made.machine(name), "--workers", "0", database=database, store=store.address)
            for name in ("a", "b")
        ]
        first, second = (start.result() for start in starts)
        made.servers = first, second
        yield made
        first.stop()
        second.stop()


def test_servers_that_start_at_once_agree_on_the_first_key(site: Site) -> None:
    first, second = (server.environment for server in site.servers)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3"):
        assert first[name] == second[name]
    assert first["AWS_ENDPOINT_URL_SAGEMAKER"] != second["AWS_ENDPOINT_URL_SAGEMAKER"]
    with psycopg.connect(site.database) as connection:
        assert connection.execute("SELECT count(*) FROM access_keys").fetchone() == (1,)


def test_every_server_and_worker_serves_every_job(site: Site, tmp_path: Path) -> None:
    first, _ = site.servers
    trust = tmp_path / "trust.pem"
    edgepack("keys", "export-trust", "--data", first.data, "--out", trust, folder=tmp_path)
    with site.worker(site.machine("c")), site.worker(site.machine("d")):
        compiled(first, "source")
        names = [f"job-{number}" for number in range(8)]
        for number, name in enumerate(names):
            create_packaging(site.servers[number % 2], name, "source")
        for number, name in enumerate(names):
            other = site.servers[(number + 1) % 2]
            found = wait_for(partial(describe_packaging, other, name), "EdgePackagingJobStatus")
            assert found["EdgePackagingJobStatus"] == "COMPLETED", found
            assert describe_packaging(site.servers[number % 2], name) == found
            package = tmp_path / "package.tar.gz"
            package.write_bytes(fetched(other, found["ModelArtifact"]))
            edgepack("verify", package, "--trust", trust, folder=tmp_path)
    with psycopg.connect(site.database) as connection:
        rows = connection.execute("SELECT DISTINCT executor_id FROM dbos.workflow_status").fetchall()
    assert len([row for row in rows if row[0] not in {None, "local"}]) == 2


def test_a_job_of_one_server_is_stopped_at_the_other(site: Site) -> None:
    first, second = site.servers
    with site.worker(site.machine("e")):
        compiled(first, "large", tar_gz({"compiled.params": bytes(1 << 20)}))
    create_packaging(first, "to-stop", "large")
    second.client("sagemaker").stop_edge_packaging_job(EdgePackagingJobName="to-stop")
    assert describe_packaging(first, "to-stop")["EdgePackagingJobStatus"] == "STOPPED"


def test_pages_and_sessions_of_one_server_go_on_at_the_other(site: Site) -> None:
    first, second = (server.client("sagemaker") for server in site.servers)
    seen: list[str] = []
    token: dict[str, str] = {}
    turn = 0
    while True:
        page = (first, second)[turn % 2].list_edge_packaging_jobs(MaxResults=1, SortBy="NAME", **token)
        seen += [job["EdgePackagingJobName"] for job in page["EdgePackagingJobSummaries"]]
        if "NextToken" not in page:
            break
        token, turn = {"NextToken": page["NextToken"]}, turn + 1
    everything = first.list_edge_packaging_jobs(MaxResults=100)["EdgePackagingJobSummaries"]
    assert seen == sorted(job["EdgePackagingJobName"] for job in everything)
    assert turn > 1
    session = site.servers[0].client("sts").assume_role(RoleArn=ROLE, RoleSessionName="roaming")["Credentials"]
    client = boto3.client(
        "sagemaker",
        endpoint_url=site.servers[1].environment["AWS_ENDPOINT_URL_SAGEMAKER"],
        region_name="us-east-1",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    assert client.list_edge_packaging_jobs(MaxResults=1)["EdgePackagingJobSummaries"]


def test_whoever_has_other_keys_does_not_start(site: Site, tmp_path: Path) -> None:
    edgepack("keys", "create", "--data", "stranger", folder=tmp_path)
    environment = os.environ | settings_of(site.database, site.store.address)
    for command in (["worker"], ["serve", "--workers", "0", "--port", "0"]):
        done = subprocess.run(
            [*EDGEPACK, *command, "--data", str(tmp_path / "stranger")],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "copy it from the server that was started first" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_backup_of_a_running_site_tells_where_its_objects_are(site: Site, tmp_path: Path) -> None:
    put(site.servers[0], "kept", b"kept")
    told = edgepack("backup", "--data", site.servers[0].data, "--out", "b.tar", folder=tmp_path).stdout
    assert f"database: postgresql; objects: external (on {site.store.embedded.endpoint}" in told
    assert site.store.client.head_object(Bucket=BUCKET, Key="kept")["ContentLength"] == len(b"kept")
