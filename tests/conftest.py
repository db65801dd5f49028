"""What all tests share: a clean environment, and one real server per test process for those that need it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from edgepack.database.engine import Database
from edgepack.database.migrate import upgrade
from harness import RunningServer, start_server

settings.register_profile("any speed", deadline=None)
settings.load_profile("any speed")


@pytest.fixture(autouse=True, scope="session")
def clean_environment() -> None:
    """No variable of the developer's shell reaches a test or a process it starts."""
    for name in list(os.environ):
        if name.startswith(("EDGEPACK_", "AWS_", "BOTO_")):
            del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database of the present schema."""
    opened = Database(f"sqlite:///{tmp_path / 'edgepack.db'}")
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests of this process; tests tell their things apart by name."""
    running = start_server(tmp_path_factory.mktemp("server") / "data")
    yield running
    running.stop()
