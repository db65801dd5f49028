"""Stop at the worst moments: of jobs whose worker is dead or stands still, of a hundred at once, right at the end."""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from driving import (
    BUCKET,
    compiled,
    create_compilation,
    create_packaging,
    describe_compilation,
    describe_packaging,
    fetched,
    nothing_left,
    packaged,
    put,
)
from e2e.workers import has_upload, in_progress, location, suspended, workers_of
from harness import FINAL, RunningServer, wait_for, worker_beside
from models import compiled_archive

pytestmark = pytest.mark.server

MANY = 100
STOPPERS = 4

NO_LONGER = "no longer the current one"
"""What a worker says that has come back to a job which is not its own any more."""


@pytest.fixture(scope="module")
def small(own_server: RunningServer) -> str:
    compiled(own_server, "small", compiled_archive())
    return "small"


class Kind:
    """One of the two kinds of jobs, as its owner sees it."""

    def __init__(self, server: RunningServer, *, compilation: bool) -> None:
        self.server, self.compilation = server, compilation
        self.member = "CompilationJobStatus" if compilation else "EdgePackagingJobStatus"

    def create(self, name: str, model: str) -> None:
        if self.compilation:
            create_compilation(self.server, name, f"s3://{BUCKET}/in/{model}.tar.gz")
        else:
            create_packaging(self.server, name, model, OutputConfig=location(name))

    def describe(self, name: str) -> dict[str, Any]:
        if not self.compilation:
            return describe_packaging(self.server, name)
        answer = describe_compilation(self.server, name)
        del answer["ResponseMetadata"]
        return answer

    def ended(self, name: str) -> dict[str, Any]:
        return wait_for(lambda: self.describe(name), self.member)

    def stop(self, name: str) -> bool:
        """Stop a job; False if it is refused because the job has ended."""
        client = self.server.client("sagemaker")
        try:
            if self.compilation:
                client.stop_compilation_job(CompilationJobName=name)
            else:
                client.stop_edge_packaging_job(EdgePackagingJobName=name)
        except ClientError as error:
            refusal = error.response["Error"]
        else:
            return True
        assert refusal["Code"] == "ValidationException", refusal
        assert "cannot be stopped" in refusal["Message"]
        return False

    def output(self, name: str) -> str:
        """The prefix of what it writes."""
        return f"compiled/{name}" if self.compilation else name

    def artifact(self, shown: dict[str, Any]) -> str | None:
        found = shown["ModelArtifacts"]["S3ModelArtifacts"] if self.compilation else shown.get("ModelArtifact")
        return found or None

    def require_consistent(self, name: str, *, stopped: bool) -> str:
        """What is described is so, and is how a job ends that was, or was not, stopped in time; its status."""
        shown = self.ended(name)
        status: str = shown[self.member]
        assert status == ("STOPPED" if stopped else "COMPLETED"), shown
        if stopped:
            assert self.artifact(shown) is None
            assert nothing_left(self.server, f"{self.output(name)}/")
        else:
            assert fetched(self.server, self.artifact(shown) or "")
        return status


@pytest.fixture(params=["packaging", "compilation"])
def kind(request: pytest.FixtureRequest, own_server: RunningServer) -> Kind:
    return Kind(own_server, compilation=request.param == "compilation")


def caught_midway(kind: Kind, name: str, model: str) -> None:
    """Create a job and wait until its bytes flow."""
    kind.create(name, model)
    if not kind.compilation:
        in_progress(kind.server, name)
        return
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suspended(workers_of(kind.server)):
            if has_upload(kind.server, kind.output(name)):
                return
        assert kind.describe(name)[kind.member] not in FINAL
        time.sleep(0.02)
    raise AssertionError(kind.describe(name))


def test_stop_of_a_job_whose_worker_was_killed(kind: Kind, large: str) -> None:
    """Nobody has taken it over yet: whoever does ends it, and removes what the dead one had begun."""
    name = f"orphan-{kind.compilation}"
    caught_midway(kind, name, large)
    (worker,) = workers_of(kind.server)
    os.kill(worker, signal.SIGKILL)
    assert kind.stop(name)
    assert kind.describe(name)[kind.member] == "STOPPING"
    assert kind.stop(name)
    kind.require_consistent(name, stopped=True)


def test_stop_of_a_job_whose_worker_stands_still(kind: Kind, large: str, tmp_path: Path) -> None:
    """A successor ends it; the worker that comes back then changes nothing."""
    name = f"zombie-{kind.compilation}"
    caught_midway(kind, name, large)
    (worker,) = workers_of(kind.server)
    log = kind.server.data.with_name(f"{kind.server.data.name}.log")
    with worker_beside(kind.server, tmp_path / "successor.log"):
        with suspended([worker]):
            told = log.read_text().count(NO_LONGER)
            assert kind.stop(name)
            kind.require_consistent(name, stopped=True)
            shown = kind.describe(name)
        deadline = time.monotonic() + 60
        while log.read_text().count(NO_LONGER) == told:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
    assert kind.describe(name) == shown
    kind.require_consistent(name, stopped=True)


def test_stop_of_a_hundred_jobs_at_once(own_server: RunningServer, small: str) -> None:
    """Several clients stop them in any order while a worker runs them: whom Stop has told so, has a stopped job."""
    kinds = [Kind(own_server, compilation=compilation) for compilation in (False, True)]
    chosen = random.Random(100)
    jobs = [(kinds[number % 2], f"many-{number}") for number in range(MANY)]
    for kind, name in jobs:
        kind.create(name, small)
    shuffled = chosen.sample(jobs, MANY)
    with ThreadPoolExecutor(STOPPERS) as pool:
        answers = list(pool.map(lambda job: job[0].stop(job[1]), shuffled))
    endings = [
        kind.require_consistent(name, stopped=stopped) for (kind, name), stopped in zip(shuffled, answers, strict=True)
    ]
    assert set(endings) == {"COMPLETED", "STOPPED"}
    final = [kind.describe(name) for kind, name in jobs]
    packaged(own_server, "after-many", small)  # the worker is through with all of them
    assert [kind.describe(name) for kind, name in jobs] == final


def test_stop_in_the_moment_of_completion(kind: Kind, small: str) -> None:
    """Whatever it races with: either it is refused and the job has COMPLETED, or it is not and nothing is left."""
    name = f"timed-{kind.compilation}"
    started = time.monotonic()
    kind.create(name, small)
    kind.ended(name)
    duration = time.monotonic() - started
    endings = set()
    for number in range(24):
        name = f"raced-{kind.compilation}-{number}"
        kind.create(name, small)
        time.sleep(duration * (0.2 + 1.2 * number / 24))
        endings.add(kind.require_consistent(name, stopped=kind.stop(name)))
    assert endings == {"COMPLETED", "STOPPED"}


def test_stop_of_a_job_that_has_ended(kind: Kind, small: str) -> None:
    server = kind.server
    put(server, "in/broken.tar.gz", b"no archive")
    jobs = {f"ended-{status}-{kind.compilation}": status for status in ("COMPLETED", "FAILED", "STOPPED")}
    for name, status in jobs.items():
        if status == "FAILED" and not kind.compilation:
            create_packaging(server, name, small, OutputConfig={"S3OutputLocation": "s3://no-such-bucket/x"})
        else:
            kind.create(name, "broken" if status == "FAILED" else small)
        if status == "STOPPED":
            with suspended(workers_of(server)):
                assert kind.stop(name)
        shown = kind.ended(name)
        assert shown[kind.member] == status, shown
        assert kind.stop(name) == (status == "STOPPED")
        assert kind.describe(name) == shown
