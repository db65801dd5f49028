"""A whole service in one process, on a real database and a real store; its workers are told where to die.

The engine's tables are real, and so is the reaper; only who takes a workflow from its queue is played here.
"""

import itertools
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from driving import packaging_request
from edgepack.contract.compilation_jobs import CreateCompilationJobRequest, StopCompilationJobRequest
from edgepack.contract.edge_packaging_jobs import CreateEdgePackagingJobRequest, StopEdgePackagingJobRequest
from edgepack.contract.validation import check_request
from edgepack.database import executors
from edgepack.database.engine import Database
from edgepack.database.records import MICROSECONDS
from edgepack.database.schema import executors as executors_table
from edgepack.errors import ValidationError
from edgepack.jobs.compilation import CompilationWork
from edgepack.jobs.disk_room import DiskRoom
from edgepack.jobs.edge_packaging import EdgePackagingWork
from edgepack.jobs.engine import WorkQueue
from edgepack.jobs.lifecycle import FINAL
from edgepack.jobs.reaper import HOUSEKEEPING_SECONDS, SILENCE_MICROSECONDS, STEADY_SECONDS, Reaper
from edgepack.jobs.scratch import Scratch
from edgepack.jobs.strays import Strays
from edgepack.jobs.sweeper import Sweeper
from edgepack.jobs.workflow import JobWork
from edgepack.keys.sealing import SecretBox
from edgepack.keys.signing import FileSigner
from edgepack.objects.address import S3Address
from edgepack.package.trust import TrustRoots
from edgepack.service.caller import Caller
from edgepack.service.context import Context
from edgepack.service.registry import build_operations
from harness import ROLE
from jobs.crashing import AFTER, Crash, HeldUp, Process, WatchedDatabase, WatchedStore
from stores import RunningStore

CALLER = Caller("000000000000", "us-east-1", "arn:aws:iam::000000000000:user/admin", "AIDA", "AKIA")
SURVIVOR = "surviving-worker"
ATTEMPTS_MAX = 6
"""Attempts after which a job that has not ended never will."""

PACKAGING, COMPILATION = 0, 1

PRESET = {"PresetDeploymentType": "GreengrassV2Component"}


@dataclass
class Keys:
    """Who signs, and whom to trust."""

    signer: FileSigner
    trust: TrustRoots


@dataclass
class House:
    """The service: a database with the engine's tables, a bucket, and workers that are played.

    Attributes:
        real: The database.
        url: Its URL.
        weed: The store.
        bucket: A bucket of its own.
        folder: For what a worker keeps on its disk.
        keys: The server's.
        strangers: Keys that nobody trusts.
        now: Microseconds since the epoch, by the house's clock: it goes on by a second whenever it is read.
        lists_uploads: Whether the workers may list uploads: a right that not everybody gives them.
    """

    real: Database
    url: str
    weed: RunningStore
    bucket: str
    folder: Path
    keys: Keys
    strangers: Keys
    now: int
    lists_uploads: bool = True
    _made: dict[str, str] = field(default_factory=dict)
    _watched: list["Job"] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self.real)
        self.scratch = Scratch(self.folder / "scratch")
        self.survivor = Process()
        self._secrets = SecretBox.open(self.folder)

    def ask(self, operation: str, request: Any, *, by: Process | None = None) -> None:
        """Have a server carry out a request."""
        context = Context(
            database=WatchedDatabase(self.real, by or self.survivor, self._note),
            work=self.queue,
            secrets=self._secrets,
            region="us-east-1",
            clock=self.clock,
        )
        build_operations(context)[operation].call(CALLER, request)

    def clock(self) -> int:
        self.now += MICROSECONDS
        return self.now

    def close(self) -> None:
        self.queue.close()

    def once(self, what: str, make: Callable[[], str]) -> str:
        """Something that all jobs of a test share, made when it is first asked for."""
        if what not in self._made:
            self._made[what] = make()
        return self._made[what]

    def put(self, key: str, content: bytes) -> str:
        """Put an object into the bucket; its key."""
        self.weed.put(S3Address(self.bucket, key), content)
        return key

    def works(self, process: Process, keys: Keys | None = None) -> tuple[EdgePackagingWork, CompilationWork]:
        """Both kinds of work, as one process does them."""
        database = WatchedDatabase(self.real, process, self._note)
        store = WatchedStore(self.weed.store, process, lists_uploads=self.lists_uploads)
        room, chosen = DiskRoom(None), keys or self.keys
        return (
            EdgePackagingWork(
                database, store=store, room=room, signer=chosen.signer, trust=self.keys.trust, clock=self.clock
            ),
            CompilationWork(database, store=store, room=room, scratch=self.scratch, clock=self.clock),
        )

    def package(
        self,
        model: str,
        *,
        at: str | None = None,
        keys: Keys | None = None,
        by: Process | None = None,
        preset: bool = False,
    ) -> "Job":
        """An edge packaging job that waits; `at` is its output prefix if it is not its own."""
        name = f"package-{next(self._numbers)}"
        prefix = at or f"packages/{name}"
        output = {"S3OutputLocation": f"s3://{self.bucket}/{prefix}", **(PRESET if preset else {})}
        request = packaging_request(name, model, OutputConfig=output, ModelName="model")
        job = self._watch(Job(self, name, PACKAGING, prefix, keys))
        self.ask("CreateEdgePackagingJob", check_request(request, CreateEdgePackagingJobRequest), by=by)
        return job

    def compile(self, key: str, *, at: str | None = None) -> "Job":
        """A compilation job that waits, of the archive under a key; `at` is its output prefix if it is not its own."""
        name = f"compile-{next(self._numbers)}"
        prefix = at or f"compiled/{name}"
        request = {
            "CompilationJobName": name,
            "RoleArn": ROLE,
            "InputConfig": {"S3Uri": f"s3://{self.bucket}/{key}", "Framework": "PYTORCH"},
            "OutputConfig": {
                "S3OutputLocation": f"s3://{self.bucket}/{prefix}",
                "TargetPlatform": {"Os": "LINUX", "Arch": "ARM64"},
                "CompilerOptions": '{"compiler": "none"}',
            },
            "StoppingCondition": {},
        }
        job = self._watch(Job(self, name, COMPILATION, prefix))
        self.ask("CreateCompilationJob", check_request(request, CreateCompilationJobRequest))
        return job

    def reap(self, process: Process | None = None) -> int:
        """What a living worker does about the dead ones; how many jobs it has begun anew."""
        with self.real.write() as connection:
            executors.heartbeat(connection, SURVIVOR)
        reaper = Reaper(
            WatchedDatabase(self.real, process or self.survivor, self._note),
            self.queue,
            self.works(self.survivor),
            executor_id=SURVIVOR,
            steady_seconds=lambda: STEADY_SECONDS,
            strays=Strays(self.queue, SURVIVOR),
            monotonic=lambda: HOUSEKEEPING_SECONDS,
        )
        return reaper.run_once()

    def sweep(self) -> int:
        """What the living worker does about what was left in the store."""
        works = self.works(self.survivor)
        return Sweeper(self.real, works[0].store, works, scratch=self.scratch, executor_id=SURVIVOR).run_once()

    def bury(self, executor_id: str) -> None:
        """Let a worker not have been heard of for a little too long."""
        with self.real.write() as connection:
            executors.heartbeat(connection, executor_id)
            past = executors_table.c.heartbeat_at - SILENCE_MICROSECONDS - 1
            own = executors_table.c.executor_id == executor_id
            connection.execute(sa.update(executors_table).where(own).values(heartbeat_at=past))

    def set_workflow(self, workflow_id: str, status: str, executor_id: str) -> None:
        """What the engine notes of a workflow that a worker takes, or that has ended."""
        with self.real.write() as connection:
            update = f"UPDATE {self._workflows} SET status = :status, executor_id = :executor WHERE workflow_uuid = :id"
            connection.execute(sa.text(update), {"status": status, "executor": executor_id, "id": workflow_id})

    def unended(self, workflow_ids: Collection[str]) -> list[str]:
        """Those of these workflows that wait or are run, by the engine's records."""
        query = sa.text(
            f"SELECT workflow_uuid FROM {self._workflows} "
            "WHERE workflow_uuid IN :ids AND status IN ('PENDING', 'ENQUEUED', 'DELAYED')"
        ).bindparams(sa.bindparam("ids", expanding=True))
        with self.real.read() as connection:
            return list(connection.execute(query, {"ids": list(workflow_ids)}).scalars())

    @property
    def _workflows(self) -> str:
        return "workflow_status" if self.real.is_sqlite else "dbos.workflow_status"

    def newest(self) -> "Job | None":
        """The job that was created last, if it was."""
        return None if self._watched[-1].row is None else self._watched[-1]

    def _watch(self, job: "Job") -> "Job":
        self._watched = [*self._watched[-1:], job]
        return job

    def _note(self) -> None:
        for job in self._watched:
            row = job.row
            if row is None:
                continue
            if row.status != job.statuses[-1]:
                job.statuses.append(row.status)
            job.workflow_ids.add(row.workflow_id)


@dataclass
class Job:
    """A job under test.

    Attributes:
        house: Where it is.
        name: Its name.
        kind: `PACKAGING` or `COMPILATION`.
        prefix: Where it writes.
        keys: Keys of its worker, if they are not the server's.
        elder: The job whose result stood in its place before.
        stop_came_late: Whether its owner has tried to stop it after its end.
        processes: Those that have run it.
        statuses: Every status that it has had, in order.
        workflow_ids: Every workflow that it has had.
    """

    house: House
    name: str
    kind: int
    prefix: str
    keys: Keys | None = None
    elder: "Job | None" = None
    stop_came_late: bool = False
    processes: list[Process] = field(default_factory=list)
    statuses: list[str] = field(default_factory=lambda: ["STARTING"])
    workflow_ids: set[str] = field(default_factory=set)

    @property
    def work(self) -> JobWork[Any]:
        return self.house.works(self.house.survivor)[self.kind]

    @property
    def row(self) -> Any:
        """Its row; None if there is none."""
        with self.house.real.read() as connection:
            return self.work.jobs.named(connection, CALLER.account_id, self.name)

    @property
    def described(self) -> bytes:
        with self.house.real.read() as connection:
            return self.work.jobs.described(connection, self.row.id)

    @property
    def has_written(self) -> bool:
        """Whether its object was there, be it for a moment."""
        return any(f"{AFTER} complete_multipart_upload" in process.points for process in self.processes)

    @property
    def has_ended(self) -> bool:
        return self.row.status in FINAL

    def take(self) -> "Taken":
        """A worker takes the job from the queue."""
        row, worker = self.row, f"worker-{next(self.house._numbers)}"
        assert self.house.unended({row.workflow_id})
        self.house.set_workflow(row.workflow_id, "PENDING", worker)
        return Taken(self, row.id, row.attempt, row.workflow_id, worker)

    def attempt(self, process: Process) -> bool:
        """A worker takes the job and runs it; whether it came to the end of its work."""
        return self.take().run(process)

    def finish(self) -> None:
        """Have living workers see to whatever dead ones have left, until nothing is left to do."""
        for _ in range(ATTEMPTS_MAX):
            self.house.reap()
            if not self.house.unended(self.workflow_ids):
                break
            self.attempt(Process())
        self.house.reap()
        self.house.sweep()

    def stop(self, *, by: Process | None = None) -> None:
        """Stop it as its owner does, unless it has ended."""
        request, operation = (
            (StopEdgePackagingJobRequest(edge_packaging_job_name=self.name), "StopEdgePackagingJob"),
            (StopCompilationJobRequest(compilation_job_name=self.name), "StopCompilationJob"),
        )[self.kind]
        try:
            self.house.ask(operation, request, by=by)
        except ValidationError:
            assert self.row.status in {"COMPLETED", "FAILED"}
            self.stop_came_late = True


@dataclass
class Taken:
    """An attempt at a job that a worker has begun."""

    job: Job
    job_id: int
    number: int
    workflow_id: str
    worker: str

    def run(self, process: Process) -> bool:
        """Run it to the end, or to that of its process; which of them it was."""
        house = self.job.house
        self.job.processes.append(process)
        try:
            house.works(process, self.job.keys)[self.job.kind].run(self.job_id, self.number)
        except Crash:
            self.is_taken_for_dead()
            return False
        # Nothing of a workflow that has been cancelled counts any more.
        if self.workflow_id in house.unended({self.workflow_id}):
            house.set_workflow(self.workflow_id, "SUCCESS", self.worker)
        return True

    def is_taken_for_dead(self) -> None:
        """Nobody has heard of its worker for too long."""
        self.job.house.bury(self.worker)


class Held:
    """An attempt that is held up at a point, if it comes there, until it is let go.

    Args:
        job: The job, which waits in the queue.
        at: The point.
    """

    def __init__(self, job: Job, at: int) -> None:
        self.taken, self._hold = job.take(), HeldUp()
        self._process, self._failed = Process({at: self._hold, at + 1: self._hold}), list[BaseException]()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        while not self._hold.arrived.wait(0.005) and self._thread.is_alive():
            pass

    def let_go(self) -> None:
        """Let it go on to its end."""
        self._hold.let_go()
        self._thread.join(60)
        assert not self._failed, self._failed

    def _run(self) -> None:
        try:
            self.taken.run(self._process)
        except BaseException as error:  # noqa: BLE001 - told when it is let go
            self._failed.append(error)


def crash(process: Process) -> None:
    """What befalls a process that is killed."""
    process.end()


def stopped(job: Job, *, then: Callable[[Process], None] = lambda _: None) -> Callable[[Process], None]:
    """Its owner stops the job, and then something befalls the process."""

    def befall(process: Process) -> None:
        job.stop()
        then(process)

    return befall
