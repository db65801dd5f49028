"""A real server for tests, started and used as a user would."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from edgepack.tether import tied

EDGEPACK = [sys.executable, "-m", "edgepack"]
READY_SECONDS = 60.0
JOB_SECONDS = 90.0
ROLE = "arn:aws:iam::000000000000:role/SageMakerEdge"
FINAL = frozenset({"COMPLETED", "FAILED", "STOPPED"})


@dataclass
class RunningServer:
    """A real `edgepack serve` process and the ways tests talk to it."""

    data: Path
    process: "subprocess.Popen[str]"
    ready_line: str
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client configured by the variables of `edgepack env` only.

        Without a configuration of its own it is made once: reading botocore's description of SageMaker takes longer
        than many a job, which was over before anybody had looked at it.
        """
        if config:
            return self._made_client(service, config)
        if service not in self._clients:
            self._clients[service] = self._made_client(service, {})
        return self._clients[service]

    def _made_client(self, service: str, config: Mapping[str, Any]) -> Any:
        session: Any = boto3.Session(
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.environment["AWS_REGION"],
        )
        variable = f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}"
        return session.client(service, endpoint_url=self.environment[variable], config=Config(**config))

    def stop(self) -> None:
        """End it as an operator does, and see it end."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(READY_SECONDS)
        self._close()

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait(READY_SECONDS)
        self._close()

    def _close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()


def start_server(data: Path, *flags: str, database: str | None = None) -> RunningServer:
    """Start a server on free ports and wait for its ready line; it ends with this process, however that ends.

    Args:
        data: Its data folder.
        flags: Further flags of `edgepack serve`.
        database: The database's URL; None for SQLite in the data folder.
    """
    log = (data.parent / f"{data.name}.log").open("ab")
    command = tied([*EDGEPACK, "serve", "--data", str(data), "--port", "0", "--s3-port", "0", *flags])
    settings = {} if database is None else {"EDGEPACK_DATABASE": database}
    with log:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("edgepack ready"):
        process.kill()
        raise AssertionError(f"no ready line but {line!r}; log:\n{Path(log.name).read_text()}")
    server = RunningServer(data, process, line, settings)
    answer = subprocess.run(
        [*EDGEPACK, "env", "--data", str(data), "--format", "json"],
        env=os.environ | settings,
        check=True,
        capture_output=True,
        text=True,
    )
    server.environment = json.loads(answer.stdout)
    return server


@contextmanager
def worker_beside(
    server: RunningServer, log: Path, *flags: str, store: str | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker beside a server, for the time of the block.

    Args:
        server: The server.
        log: Takes what the worker says.
        flags: Further flags of `edgepack worker`.
        store: The endpoint by which it reaches the store; None for the store's own.
    """
    environment = {
        **os.environ,
        **server.settings,
        "EDGEPACK_S3_ENDPOINT": store or server.environment["AWS_ENDPOINT_URL_S3"],
        "EDGEPACK_S3_ACCESS_KEY_ID": server.environment["AWS_ACCESS_KEY_ID"],
        "EDGEPACK_S3_SECRET_ACCESS_KEY": server.environment["AWS_SECRET_ACCESS_KEY"],
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            tied([*EDGEPACK, "worker", "--data", str(server.data), *flags]),
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(30)


def wait_for(describe: Callable[[], dict[str, Any]], member: str, *, until: frozenset[str] = FINAL) -> dict[str, Any]:
    """Poll until a job's status is one of `until`; its last description."""
    deadline = time.monotonic() + JOB_SECONDS
    while time.monotonic() < deadline:
        description = describe()
        if description[member] in until:
            return description
        time.sleep(0.05)
    raise AssertionError(f"still {description[member]} after {JOB_SECONDS} s: {description}")


def wait_until_told(log: Path, words: str) -> None:
    """Wait until a process has written these words to its log."""
    deadline = time.monotonic() + JOB_SECONDS
    while words not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
