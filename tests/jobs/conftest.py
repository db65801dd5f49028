"""One embedded store for all tests of this room in this process; a test takes a bucket of its own."""

from collections.abc import Iterator

import pytest

from stores import RunningStore, running_store


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    with running_store(tmp_path_factory.mktemp("store") / "store") as running:
        yield running


@pytest.fixture
def bucket(weed: RunningStore) -> str:
    return weed.new_bucket()
