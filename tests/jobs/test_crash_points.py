"""Every point of every kind of job at which its worker may die: one ending, kept promises, and nothing else is left."""

import contextlib
import itertools
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgepack.database.engine import Database
from edgepack.database.records import MICROSECONDS
from edgepack.jobs import progress, transfer_writers, workflow
from edgepack.jobs.engine import migrate_engine
from edgepack.jobs.lifecycle import MAX_DEATHS
from edgepack.jobs.workflow import system_clock
from edgepack.keys.signing import ensure_signing_keys, export_trust
from edgepack.objects.address import parse_object_uri
from edgepack.package.trust import TrustRoots
from jobs.crashing import AFTER, BEFORE, WITHIN, Crash, EngineInTurn, PoolInTurn, Process
from jobs.promises import broken_promises, promises_an_artifact
from jobs.rehearsal import Held, House, Job, Keys, crash, stopped
from models import compiled_archive, tar_gz
from postgres import POSTGRES, SQLITE
from stores import RunningStore

LARGE = tar_gz({"compiled.params": random.Random(5).randbytes(11 << 20)}, level=0)
"""Large enough to be copied by the store, or uploaded, in parts."""

HOSTILE = tar_gz({"../compiled.so": b"\x7fELF"})

SEED = 20
PAIRS, TRIPLES = 8, 3
"""Pairs of points that are tried of each scenario, out of some 900; and triples."""

AFTER_SOMETHING = 6
"""A point in the midst of things."""


def keys_in(folder: Path, now: int) -> Keys:
    signer = ensure_signing_keys(folder, now=datetime.fromtimestamp(now / MICROSECONDS, UTC))
    return Keys(signer, TrustRoots.from_pem(export_trust(folder)))


@pytest.fixture
def house(
    tmp_path: Path,
    database: Database,
    database_url: str,
    weed: RunningStore,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    migrate_engine(database_url)
    monkeypatch.setattr(workflow, "DBOS", EngineInTurn)
    monkeypatch.setattr(workflow, "STORE_BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(transfer_writers, "ThreadPoolExecutor", PoolInTurn)
    # Not by the wall clock: whether to stop is asked at every chunk, and progress is told at every one or at none.
    monkeypatch.setattr(progress, "STATUS_CHECK_SECONDS", 0.0)
    monkeypatch.setattr(progress, "REPORT_SECONDS", float("inf"))
    now = system_clock()
    own, strangers = (keys_in(tmp_path / whose, now) for whose in ("own", "strangers"))
    made = House(database, database_url, weed, bucket, tmp_path, own, strangers, now)
    yield made
    made.close()


def completed(job: Job) -> Job:
    job.finish()
    assert (job.row.status, broken_promises(job)) == ("COMPLETED", [])
    return job


def archive(house: House, name: str, content: bytes) -> str:
    """The key of an archive in the store."""
    return house.once(f"in/{name}.tar.gz", lambda: house.put(f"in/{name}.tar.gz", content))


def model(house: House, name: str = "small", content: bytes | None = None) -> str:
    """A compilation job that has COMPLETED; its name."""
    key = archive(house, name, content or compiled_archive())
    return house.once(f"model {name}", lambda: completed(house.compile(key)).name)


def replaced_model(house: House) -> str:
    """One whose compiled model somebody has replaced by a hostile archive."""

    def make() -> str:
        job = completed(house.compile(archive(house, "replaced", compiled_archive())))
        house.put(parse_object_uri(job.row.artifact_uri).key, HOSTILE)
        return job.name

    return house.once("replaced", make)


def small(house: House) -> Job:
    progress.REPORT_SECONDS = 0.0  # the fixture puts it back
    return house.package(model(house))


def large(house: House) -> Job:
    return house.package(model(house, "large", LARGE))


def component(house: House) -> Job:
    return house.package(model(house), preset=True)


def hostile(house: House) -> Job:
    return house.package(replaced_model(house), preset=True)


def untrusted(house: House) -> Job:
    """Its package is there when it turns out that nobody will trust its signature."""
    return house.package(model(house), keys=house.strangers, preset=True)


def replacing(house: House) -> Job:
    elder = completed(house.package(model(house), preset=True))
    job = house.package(model(house), at=elder.prefix)
    job.elder = elder
    return job


def untrusted_replacing(house: House) -> Job:
    elder = completed(house.package(model(house), preset=True))
    job = house.package(model(house), at=elder.prefix, keys=house.strangers)
    job.elder = elder
    return job


def known(house: House) -> Job:
    """Its digests are those that another job has signed."""

    def make() -> str:
        house.weed.client.put_bucket_versioning(Bucket=house.bucket, VersioningConfiguration={"Status": "Enabled"})
        return completed(house.package(model(house, "large", LARGE))).name

    house.once("known", make)
    return house.package(model(house, "large", LARGE))


def compilation(house: House) -> Job:
    progress.REPORT_SECONDS = 0.0  # the fixture puts it back
    return house.compile(archive(house, "small", compiled_archive()))


def large_compilation(house: House) -> Job:
    return house.compile(archive(house, "large", LARGE))


def hostile_compilation(house: House) -> Job:
    return house.compile(archive(house, "hostile", HOSTILE))


def replacing_compilation(house: House) -> Job:
    key = archive(house, "small", compiled_archive())
    elder = completed(house.compile(key))
    job = house.compile(key, at=elder.prefix)
    job.elder = elder
    return job


Scenario = Callable[[House], Job]
"""Makes a job that waits, and whatever must be there before it."""

SCENARIOS: dict[Scenario, str] = {
    small: "COMPLETED",
    large: "COMPLETED",
    known: "COMPLETED",
    component: "COMPLETED",
    hostile: "FAILED",
    untrusted: "FAILED",
    replacing: "COMPLETED",
    untrusted_replacing: "FAILED",
    compilation: "COMPLETED",
    large_compilation: "COMPLETED",
    hostile_compilation: "FAILED",
    replacing_compilation: "COMPLETED",
}
"""And how that job ends if nobody stops it."""


def of(*scenarios: Scenario) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scenario", scenarios, ids=[made.__name__ for made in scenarios])


on_sqlite = pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
"""What the databases do not differ in is tried on one of them."""


class Findings:
    """What was found wrong after anything that befell a job: all of it is told, not the first alone."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def of(self, job: Job, expected: str, *befell: str) -> None:
        """Look at a job that is to have ended."""
        wrong = broken_promises(job)
        if job.row.status != expected:
            wrong.append(f"it is {job.row.status} instead of {expected}: {job.described.decode()}")
        if job.elder is not None:
            wrong += [f"its elder: {each}" for each in broken_promises(job.elder)]
            if job.has_written == promises_an_artifact(job.elder):
                wrong.append("its elder's object is gone although it had put nothing in its place, or the reverse")
        self.found += [f"{', '.join(befell)}: {each}" for each in wrong]

    def require_none(self) -> None:
        assert not self.found, "\n".join(self.found)


def undisturbed(house: House, scenario: Scenario) -> list[str]:
    """The points that the job passes if nothing befalls it."""
    job, process, findings = scenario(house), Process(), Findings()
    assert job.attempt(process)
    job.finish()
    findings.of(job, SCENARIOS[scenario], "nothing")
    findings.require_none()
    return process.points


def named(points: list[str], number: int) -> str:
    return f"{number} ({points[number]})"


def deaths(points: list[str]) -> list[int]:
    """Where its process may end: before anything, while a transaction is open, and after all that it does."""
    return [number for number, point in enumerate(points) if number == 0 or not point.startswith(BEFORE)]


def pauses(points: list[str]) -> list[int]:
    """Where somebody else may do something while its process stands still: not while it keeps others waiting."""
    return [number for number, point in enumerate(points) if not point.startswith(WITHIN)]


@on_sqlite
@of(component, hostile, untrusted, replacing, compilation, hostile_compilation, replacing_compilation)
def test_a_worker_dies_at_any_point(house: House, scenario: Scenario) -> None:
    die_at_any_point(house, scenario)


@of(component)
@pytest.mark.parametrize("database_url", [POSTGRES], indirect=True)
def test_a_worker_dies_at_any_point_on_postgres(house: House, scenario: Scenario) -> None:
    die_at_any_point(house, scenario)


def die_at_any_point(house: House, scenario: Scenario) -> None:
    points, findings = undisturbed(house, scenario), Findings()
    for number in deaths(points):
        job, process = scenario(house), Process({number: crash})
        assert not job.attempt(process)
        assert process.points == points[: number + 1]
        job.finish()
        findings.of(job, SCENARIOS[scenario], named(points, number))
    findings.require_none()


@on_sqlite
@of(large, known, large_compilation)
def test_a_worker_dies_while_it_writes_in_parts(house: House, scenario: Scenario) -> None:
    points, findings = undisturbed(house, scenario), Findings()
    assert sum("part" in point for point in points) > 4
    for number in deaths(points):
        if "upload" in points[number]:
            job = scenario(house)
            assert not job.attempt(Process({number: crash}))
            job.finish()
            findings.of(job, SCENARIOS[scenario], named(points, number))
    findings.require_none()


@on_sqlite
def test_a_worker_dies_whose_successor_may_not_list_uploads(house: House) -> None:
    """What has been noted is found. What had not yet been, no note nor list tells of."""
    house.lists_uploads = False
    points = undisturbed(house, component)
    begun = points.index(f"{AFTER} create_multipart_upload")
    left = []
    for number in deaths(points)[:-1]:
        job = component(house)
        assert not job.attempt(Process({number: crash}))
        job.finish()
        assert job.row.status == "COMPLETED"
        left += [number] if "an upload is still open" in broken_promises(job) else []
    assert left == [begun, begun + 2], points
    assert points[begun + 2] == f"{WITHIN} a transaction"


@on_sqlite
@of(replacing, compilation)
def test_a_job_is_stopped_at_any_point(house: House, scenario: Scenario) -> None:
    points, findings = undisturbed(house, scenario), Findings()
    for number in pauses(points):
        job = scenario(house)
        job.attempt(Process({number: stopped(job)}))
        job.finish()
        findings.of(job, after_stop(job), named(points, number))
    findings.require_none()


def after_stop(job: Job) -> str:
    """How a job ends that its owner has stopped: unless it had ended before, in no other way."""
    return job.statuses[-1] if job.stop_came_late else "STOPPED"


@on_sqlite
@of(component, untrusted_replacing, replacing_compilation)
def test_a_worker_dies_on_a_job_that_is_stopped(house: House, scenario: Scenario) -> None:
    points, findings = undisturbed(house, scenario), Findings()
    for number in pauses(points):
        job = scenario(house)
        assert not job.attempt(Process({number: stopped(job, then=crash)}))
        job.finish()
        findings.of(job, after_stop(job), named(points, number))
    findings.require_none()


@on_sqlite
@of(component, replacing, replacing_compilation)
def test_a_worker_dies_while_it_stops(house: House, scenario: Scenario) -> None:
    """Stopped before and after its object was there, it dies at every later point of cleaning up."""
    points, findings = undisturbed(house, scenario), Findings()
    for stop_at in (points.index(f"{moment} complete_multipart_upload") for moment in (BEFORE, AFTER)):
        process = Process({stop_at: stopped(job := scenario(house))})
        job.attempt(process)
        for number in (each for each in deaths(process.points) if each > stop_at):
            job = scenario(house)
            assert not job.attempt(Process({stop_at: stopped(job), number: crash}))
            job.finish()
            findings.of(job, "STOPPED", named(points, stop_at), named(process.points, number))
    findings.require_none()


@on_sqlite
@of(hostile, replacing, replacing_compilation)
def test_workers_die_one_after_the_other(house: House, scenario: Scenario) -> None:
    points, findings, chosen = undisturbed(house, scenario), Findings(), random.Random(SEED)
    for count in [2] * PAIRS + [MAX_DEATHS] * TRIPLES:
        numbers = [chosen.choice(deaths(points)) for _ in range(count)]
        job, died = scenario(house), 0
        for number in numbers:
            house.reap()
            if not job.has_ended:
                died += not job.attempt(Process({number: crash}))
        ended = job.statuses[-1] if job.has_ended else None
        job.finish()
        expected = ended or ("FAILED" if died == MAX_DEATHS else SCENARIOS[scenario])
        findings.of(job, expected, *(named(points, number) for number in numbers))
    findings.require_none()


@on_sqlite
@of(component, untrusted, replacing_compilation)
def test_a_worker_comes_back_after_its_successor_has_ended_the_job(house: House, scenario: Scenario) -> None:
    points, findings = undisturbed(house, scenario), Findings()
    for number in pauses(points):
        job = scenario(house)
        late = Held(job, number)
        late.taken.is_taken_for_dead()
        job.finish()
        shown = job.described
        late.let_go()
        findings.of(job, SCENARIOS[scenario], named(points, number))
        if job.described != shown:
            findings.found.append(f"{named(points, number)}: it changed what is described")
    findings.require_none()


@of(component, replacing_compilation)
def test_a_worker_comes_back_while_its_successor_runs(house: House, scenario: Scenario) -> None:
    """At any point, when its successor has just put its object in place; and at some, whatever that one is about."""
    points, findings, chosen = undisturbed(house, scenario), Findings(), random.Random(SEED)
    written = points.index(f"{AFTER} complete_multipart_upload")
    numbers_of_both = [(number, written) for number in pauses(points)]
    numbers_of_both += [(chosen.choice(pauses(points)), chosen.choice(pauses(points))) for _ in range(PAIRS)]
    for numbers in numbers_of_both:
        job = scenario(house)
        late = Held(job, numbers[0])
        late.taken.is_taken_for_dead()
        house.reap()
        successor = None if job.has_ended else Held(job, numbers[1])
        late.let_go()
        if successor is not None:
            successor.let_go()
        job.finish()
        findings.of(job, SCENARIOS[scenario], *(named(points, number) for number in numbers))
    findings.require_none()


def test_a_reaper_dies_at_any_point(house: House) -> None:
    points: list[str] = []
    for number in itertools.count():
        job = small(house)
        assert not job.attempt(Process({AFTER_SOMETHING: crash}))
        reaper = Process({number: crash})
        with contextlib.suppress(Crash):
            house.reap(reaper)
        job.finish()
        assert (job.row.status, job.row.attempt, broken_promises(job)) == ("COMPLETED", 2, []), reaper.points[number:]
        if not reaper.dead:
            points = reaper.points
            break
    assert len(points) > 4


def test_a_server_dies_while_it_creates_a_job(house: House) -> None:
    name, lost, kept = model(house), 0, 0
    for number in range(3):
        try:
            house.package(name, by=Process({number: crash}))
        except Crash:
            job = house.newest()
        if job is None:
            lost += 1
            continue
        kept += 1
        job.finish()
        assert (job.row.status, broken_promises(job)) == ("COMPLETED", [])
    assert (lost, kept) == (2, 1)


def test_a_server_dies_while_it_stops_a_job(house: House) -> None:
    for number, ended in enumerate(["COMPLETED", "COMPLETED", "STOPPED"]):
        job = component(house)
        with pytest.raises(Crash):
            job.stop(by=Process({number: crash}))
        job.finish()
        assert (job.row.status, broken_promises(job)) == (ended, [])
