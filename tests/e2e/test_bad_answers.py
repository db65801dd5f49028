"""A store that spoils one answer of each sort in the middle of a job: it completes all the same, with one result."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.weather import KINDS, happen
from driving import BUCKET, compiled, create_packaging, describe_packaging
from edgepack.objects.info import ATTEMPT_METADATA
from harness import RunningServer, start_server, wait_for, worker_beside
from models import compiled_archive, tar_gz
from s3_proxy import Answer, Request, S3Proxy, proxied

pytestmark = pytest.mark.server

SPOILT = [kind for kind in KINDS if "stall" not in kind]
"""Stalls only take time; `tests/chaos` has them."""

REQUESTS: dict[str, Callable[[Request], bool]] = {
    "look at the source": lambda request: request.method == "HEAD" and "/compiled/" in request.path,
    "look at the target": lambda request: request.method == "HEAD" and "/packaged/" in request.path,
    "read": lambda request: request.method == "GET" and "range" in request.headers,
    "begin an upload": lambda request: request.method == "POST" and "uploads" in request.query,
    "send a part": lambda request: request.method == "PUT" and not request.copies,
    "copy a part": lambda request: request.method == "PUT" and request.copies,
    "complete the upload": lambda request: request.method == "POST" and "uploadId" in request.query,
}

ARCHIVES = {"small": compiled_archive(), "large": tar_gz({"compiled.params": os.urandom(12 << 20)}, level=0)}


class Once:
    """Spoils the first answer to one sort of request."""

    def __init__(self, proxy: S3Proxy, kind: str, matches: Callable[[Request], bool]) -> None:
        self._proxy, self._kind, self._matches = proxy, kind, matches
        self.spoilt: list[Request] = []
        proxy.rule = self

    def __call__(self, request: Request) -> Answer | None:
        if self.spoilt or not self._matches(request):
            return None
        self.spoilt.append(request)
        return happen(self._kind, 0.5, request, self._proxy)


@pytest.fixture(scope="module")
def stormy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, S3Proxy]]:
    """A server whose only worker is behind a proxy; with two compiled models."""
    folder = tmp_path_factory.mktemp("stormy")
    server = start_server(folder / "data", "--workers", "0")
    try:
        with (
            proxied(server.environment["AWS_ENDPOINT_URL_S3"]) as proxy,
            worker_beside(server, folder / "worker.log", store=proxy.endpoint),
        ):
            proxy.recording = False
            for name, archive in ARCHIVES.items():
                compiled(server, name, archive)
            yield server, proxy
    finally:
        server.stop()


@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize("which", REQUESTS)
def test_one_spoilt_answer_does_no_harm(
    stormy: tuple[RunningServer, S3Proxy], which: str, kind: str, tmp_path: Path
) -> None:
    server, proxy = stormy
    name = f"{which}-{kind}".replace(" ", "-")
    once = Once(proxy, kind, REQUESTS[which])
    create_packaging(server, name, "large" if which == "copy a part" else "small")
    found = wait_for(lambda: describe_packaging(server, name), "EdgePackagingJobStatus")
    assert found["EdgePackagingJobStatus"] == "COMPLETED", found["EdgePackagingJobStatusMessage"]
    assert once.spoilt
    head = server.client("s3").head_object(Bucket=BUCKET, Key=f"packaged/{name}-1.0.tar.gz")
    assert head["Metadata"][ATTEMPT_METADATA] == "1"
