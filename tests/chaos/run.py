"""One run: many jobs over several workers, which are killed, while the store misbehaves and the database goes away."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chaos import engine_rows, ledger
from chaos.clerk import Clerk
from chaos.crew import Crew
from chaos.invariant import Invariant
from chaos.monkey import POISONED, Death, Monkey
from chaos.plan import (
    COMPLETED,
    HOSTILE,
    MISSING,
    POISON,
    SOURCES,
    Plan,
    Planned,
    archive,
    compilation,
    hostile_archive,
    onnx_source,
)
from chaos.recovery import recoveries
from chaos.report import Report, Size
from chaos.weather import Weather
from driving import BUCKET, put
from edgepack.database.engine import Database
from edgepack.database.schema import leases
from edgepack.jobs.compilation import CompilationWork
from edgepack.jobs.edge_packaging import EdgePackagingWork
from edgepack.jobs.lifecycle import MAX_DEATHS
from edgepack.jobs.scratch import Scratch
from edgepack.jobs.sweeper import Sweeper
from edgepack.jobs.workflow import JobWork
from edgepack.objects.store import ObjectStore
from harness import RunningServer, start_server
from postgres import PostgresServer
from s3_proxy import proxied

TICK_SECONDS = 0.05
ENDING_SECONDS = 120.0
"""How long jobs may take to end once nothing is done to anybody any more."""


def run(folder: Path, size: Size, seed: int, postgres: PostgresServer | None) -> Report:
    """One run on SQLite, or on PostgreSQL if there is a cluster.

    Args:
        folder: An empty folder.
        size: How much is to happen.
        seed: Decides what, and about when; how the processes meet is chance all the same.
        postgres: The cluster; nobody else may use it, for it is crashed.
    """
    url = None if postgres is None else postgres.new_database()
    server = start_server(folder / "data", "--workers", "0", database=url)
    database = Database(url or f"sqlite:///{folder / 'data' / 'edgepack.db'}")
    try:
        with proxied(server.environment["AWS_ENDPOINT_URL_S3"]) as proxy:
            proxy.recording = False
            weather = Weather(proxy, random.Random(seed), calm=True)
            proxy.rule = weather
            ledger.install(database)
            stores = [proxy.endpoint, server.environment["AWS_ENDPOINT_URL_S3"]] * size.workers
            crew = Crew(server, stores[: size.workers], folder / "workers.log")
            try:
                return _Run(server, database, crew, weather, postgres, size, seed, folder).run()
            finally:
                crew.kill()
    finally:
        database.close()
        server.stop()


@dataclass
class _Run:
    server: RunningServer
    database: Database
    crew: Crew
    weather: Weather
    postgres: PostgresServer | None
    size: Size
    seed: int
    folder: Path
    created: list[Planned] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._clerk = Clerk(self.server, self.database)

    def run(self) -> Report:
        began = time.monotonic()
        self._prepare()
        rng = random.Random(self.seed)
        plan = Plan(rng)
        monkey = Monkey(self.crew, self.database, self.postgres, self.database.url.database, rng)
        watcher = monkey.watch_poison()
        self.weather.calm = False
        self._storm(plan, monkey, rng)
        self.weather.calm = True
        problems = [*self._await_end(monkey), *self._end()]
        monkey.stop_watching()
        watcher.join()
        invariant = Invariant(self.server, self.database, self.created, self.folder)
        recovered, lost = recoveries(monkey.deaths, ledger.read(self.database), monkey.outages)
        problems += [*invariant.violations(), *lost, *_of_poison(monkey.deaths)]
        return Report(
            seed=self.seed,
            size=self.size,
            statuses=Counter(invariant.status(job) for job in self.created),
            deeds=monkey.done,
            weather=self.weather.happened,
            recovered=recovered,
            violations=problems,
            seconds=time.monotonic() - began,
        )

    def _prepare(self) -> None:
        """Models that are compiled, two of which are then spoilt."""
        put(self.server, "in/onnx.tar.gz", onnx_source())
        for source in SOURCES:
            put(self.server, f"in/{source}.tar.gz", archive(source))
        spoilt = [
            compilation(f"source-{name}", _input("small-1"), source=None, ends=COMPLETED) for name in (MISSING, HOSTILE)
        ]
        good = [compilation(f"source-{name}", _input(name), source=name, ends=COMPLETED) for name in SOURCES]
        for job in (*good, *spoilt):
            self._create(job)
        self._wait(lambda: not self._clerk.unended(), "the models were not compiled")
        s3 = self.server.client("s3")
        for name in (MISSING, HOSTILE):
            (key,) = [
                each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"compiled/source-{name}/")["Contents"]
            ]
            s3.delete_object(Bucket=BUCKET, Key=key)
            if name == HOSTILE:
                s3.put_object(Bucket=BUCKET, Key=key, Body=hostile_archive())
        self.created = good

    def _storm(self, plan: Plan, monkey: Monkey, rng: random.Random) -> None:
        jobs = list(plan.jobs(self.size.jobs))
        rng.shuffle(jobs)
        due: list[tuple[float, Any]] = [(rng.uniform(0, self.size.seconds), job) for job in jobs]
        due += [(1.0, plan.poison())]
        due += [(rng.uniform(2, self.size.seconds), deed) for deed in monkey.deeds(self.size.deeds)]
        began, due = time.monotonic(), sorted(due, key=lambda each: each[0])
        while due:
            passed = time.monotonic() - began
            while due and due[0][0] <= passed:
                what = due.pop(0)[1]
                if isinstance(what, str):
                    monkey.do(what)
                elif isinstance(what, Planned) and what in self.created:
                    self._clerk.stop(what)
                elif self._create(what) and what.stop_after is not None:
                    due = sorted([*due, (passed + what.stop_after, what)], key=lambda each: each[0])
            monkey.tend()
            monkey.poison_lives = POISON not in {job.name for job in self.created} or not self._clerk.has_ended(POISON)
            time.sleep(TICK_SECONDS)

    def _await_end(self, monkey: Monkey) -> Iterator[str]:
        """Nothing happens any more; all that was begun ends."""
        deadline = time.monotonic() + ENDING_SECONDS
        while not monkey.idle or self._clerk.unended() or engine_rows.unfinished(self.database):
            if time.monotonic() > deadline:
                yield f"has not ended: {self._clerk.unended()}, {engine_rows.unfinished(self.database)}"
                return
            monkey.tend()
            time.sleep(TICK_SECONDS)

    def _end(self) -> Iterator[str]:
        """The workers end in order, and somebody sweeps behind them."""
        codes = self.crew.stop()
        if any(codes):
            yield f"workers that were told to end did so with {codes}"
        with self.database.write() as connection:
            connection.execute(sa.delete(leases))
        scratch = Scratch(self.server.data / "scratch")
        self._sweeper(scratch).run_once()
        left = list(scratch.parent.glob("**/*")) if scratch.parent.exists() else []
        if left:
            yield f"left in the scratch folder: {left}"

    def _create(self, job: Planned) -> bool:
        created = self._clerk.create(job)
        if created:
            self.created.append(job)
        return created

    def _sweeper(self, scratch: Scratch) -> Sweeper:
        access, unused = self.server.environment, None
        anything: Any = unused
        store = ObjectStore(
            endpoint=access["AWS_ENDPOINT_URL_S3"],
            region=access["AWS_REGION"],
            access_key=access["AWS_ACCESS_KEY_ID"],
            secret_key=access["AWS_SECRET_ACCESS_KEY"],
        )
        works: list[JobWork[Any]] = [
            EdgePackagingWork(
                self.database, store=store, room=anything, signer=anything, trust=anything, clock=lambda: 0
            ),
            CompilationWork(self.database, store=store, room=anything, scratch=scratch, clock=lambda: 0),
        ]
        return Sweeper(self.database, store, works, scratch=scratch, executor_id="the test")

    def _wait(self, condition: Any, otherwise: str) -> None:
        deadline = time.monotonic() + ENDING_SECONDS
        while not condition():
            assert time.monotonic() < deadline, otherwise
            time.sleep(TICK_SECONDS)


def _input(source: str) -> str:
    return f"s3://{BUCKET}/in/{source}.tar.gz"


def _of_poison(deaths: Sequence[Death]) -> Iterator[str]:
    killed = [death for death in deaths if death.deed == POISONED]
    if len(killed) != MAX_DEATHS:
        yield f"the poison killed {len(killed)} workers"
