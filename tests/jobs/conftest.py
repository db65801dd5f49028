"""One embedded store for all tests of this room in this process; a test takes a bucket of its own."""

from collections.abc import Iterator

import pytest

from edgepack.objects.store import ObjectStore
from s3_proxy import S3Proxy, proxied
from stores import RunningStore, running_store


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    with running_store(tmp_path_factory.mktemp("store") / "store") as running:
        yield running


@pytest.fixture
def bucket(weed: RunningStore) -> str:
    return weed.new_bucket()


@pytest.fixture(scope="module")
def one_proxy(weed: RunningStore) -> Iterator[S3Proxy]:
    with proxied(weed.embedded.endpoint) as running:
        yield running


@pytest.fixture(scope="module")
def behind_proxy(weed: RunningStore, one_proxy: S3Proxy) -> ObjectStore:
    """The store through the proxy; one client for all tests, since making one takes longer than most of them."""
    return weed.connect(endpoint=one_proxy.endpoint)


@pytest.fixture
def proxy(one_proxy: S3Proxy) -> S3Proxy:
    """The proxy, as new."""
    one_proxy.reset()
    return one_proxy
