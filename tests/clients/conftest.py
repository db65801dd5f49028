"""The clients are tried against one server: whatever database is behind it, they see the same."""

import pytest

from harness import RunningServer


@pytest.fixture(scope="session")
def server(sqlite_server: RunningServer) -> RunningServer:
    return sqlite_server
