"""A server for each module whose tests kill or stop its workers, and a model that keeps one busy for seconds."""

import os
from collections.abc import Callable, Iterator

import pytest

from driving import compiled
from e2e.workers import LARGE
from harness import RunningServer, start_server
from models import tar_gz


@pytest.fixture(scope="module")
def own_server(
    new_server_database: Callable[[], str | None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server whose workers may be killed."""
    folder = tmp_path_factory.mktemp("stopping")
    running = start_server(folder / "data", "--workers", "1", database=new_server_database())
    yield running
    running.stop()


@pytest.fixture(scope="module")
def large(own_server: RunningServer) -> str:
    """A compilation job whose artifact takes seconds to package."""
    compiled(own_server, "large", tar_gz({"compiled.params": os.urandom(LARGE)}, level=0))
    return "large"
