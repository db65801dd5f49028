"""What all tests share: a clean environment, and one real server per test process for those that need it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from edgepack.database.engine import Database
from edgepack.database.migrate import upgrade
from harness import RunningServer, start_server
from postgres import DATABASES, SQLITE, PostgresServer, running_postgres
from stores import running_store

settings.register_profile("any speed", deadline=None)
settings.load_profile("any speed")


@pytest.fixture(autouse=True, scope="session")
def clean_environment() -> None:
    """No variable of the developer's shell reaches a test or a process it starts."""
    for name in list(os.environ):
        if name.startswith(("EDGEPACK_", "AWS_", "BOTO_")):
            del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One cluster for all tests of this process; each takes a database of its own."""
    with running_postgres() as running:
        yield running


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database, on each of the two that edgepack works with."""
    if request.param == SQLITE:
        return f"sqlite:///{tmp_path / 'edgepack.db'}"
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.new_database()


@pytest.fixture(scope="session", params=DATABASES)
def new_server_database(request: pytest.FixtureRequest) -> Callable[[], str | None]:
    """What a server of a test's own is told of its database: nothing, or the URL of a new one on PostgreSQL."""
    if request.param == SQLITE:
        return lambda: None
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.new_database


@pytest.fixture
def server_database(new_server_database: Callable[[], str | None]) -> str | None:
    """The same, for the one server of a test."""
    return new_server_database()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database of the present schema."""
    with migrated(database_url) as opened:
        yield opened


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """The same on SQLite, for what only SQLite does."""
    with migrated(f"sqlite:///{tmp_path / 'edgepack.db'}") as opened:
        yield opened


@contextmanager
def migrated(url: str) -> Iterator[Database]:
    """A database of the present schema for the time of the block."""
    opened = Database(url)
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests of this process; tests tell their things apart by name."""
    running = start_server(tmp_path_factory.mktemp("server") / "data")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[RunningServer]:
    """Another one, on PostgreSQL and on an S3 that is not its own."""
    folder = tmp_path_factory.mktemp("server")
    with running_store(folder / "s3") as store:
        running = start_server(folder / "data", database=postgres.new_database(), store=store.address)
        yield running
        running.stop()


@pytest.fixture(scope="session", params=DATABASES)
def server(request: pytest.FixtureRequest) -> RunningServer:
    """One after the other."""
    running: RunningServer = request.getfixturevalue(f"{request.param}_server")
    return running
