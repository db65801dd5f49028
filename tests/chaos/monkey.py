"""What is done to the workers and to the database while jobs run."""

import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from chaos.crew import Crew, Hand
from chaos.engine_rows import RunningJob, runner_of, running_on
from chaos.plan import POISON
from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.jobs.lifecycle import MAX_DEATHS
from postgres import PostgresServer

FREEZE_SECONDS = 9.0
"""Longer than the silence after which a worker is taken for dead, and the reaper's next look."""

LOOK_SECONDS = 0.02
"""How often the poison's watcher looks who runs it."""

KILL, KILL_GROUP, FREEZE, CUT, CRASH, POISONED = (
    "kill -9",
    "kill -9 of the group",
    "SIGSTOP, SIGCONT",
    "connections cut",
    "PostgreSQL crashed",
    "poisoned",
)
DEEDS = {KILL: 4, KILL_GROUP: 2, FREEZE: 3, CUT: 2, CRASH: 1}
"""What may be done, and how often."""
NEED_POSTGRES = frozenset({CUT, CRASH})


@dataclass(frozen=True, slots=True)
class Death:
    """A worker that was killed, or frozen for longer than anybody waits, and what it ran.

    Attributes:
        at: Seconds since the epoch.
    """

    deed: str
    pid: int
    at: float
    jobs: tuple[RunningJob, ...]


@dataclass
class Monkey:
    """Does something now and then.

    Args:
        crew: The workers.
        database: Where jobs are.
        postgres: The cluster, if the database is there.
        database_name: Its name in the cluster.
        rng: Decides.
    """

    crew: Crew
    database: Database
    postgres: PostgresServer | None
    database_name: str | None
    rng: random.Random
    deaths: list[Death] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    outages: list[tuple[float, float]] = field(default_factory=list)
    poison_lives: bool = True
    _thawing: list[threading.Timer] = field(default_factory=list)
    _watching: threading.Event = field(default_factory=threading.Event)

    def deeds(self, count: int) -> list[str]:
        """So many deeds in random order, every possible one among them."""
        possible = {deed: weight for deed, weight in DEEDS.items() if self.postgres or deed not in NEED_POSTGRES}
        drawn = self.rng.choices(list(possible), list(possible.values()), k=max(0, count - len(possible)))
        deeds = [*possible, *drawn]
        self.rng.shuffle(deeds)
        return deeds

    def do(self, deed: str) -> None:
        """Do one thing."""
        match deed:
            case "connections cut":
                self._cut()
            case "PostgreSQL crashed":
                self._crash()
            case _:
                self._strike(deed)

    def tend(self) -> None:
        """Replace the dead."""
        self.crew.replace_dead()

    @property
    def idle(self) -> bool:
        """Whether nobody is frozen any more."""
        return not any(timer.is_alive() for timer in self._thawing)

    def watch_poison(self) -> threading.Thread:
        """Kill every worker that runs the poisonous job, as soon as it runs it; until `stop_watching`."""
        thread = threading.Thread(target=self._watch, name="poison", daemon=True)
        thread.start()
        return thread

    def stop_watching(self) -> None:
        """The poison is gone."""
        self._watching.set()

    def _strike(self, deed: str) -> None:
        """Kill or freeze somebody, but nobody's third worker: a job that loses so many is taken for poison."""
        hands = self.crew.living
        self.rng.shuffle(hands)
        limit = MAX_DEATHS - 1 - int(self.poison_lives)
        for hand in hands:
            hand.send(signal.SIGSTOP)  # from now on it is given nothing more
            jobs = self._running_on(hand)
            if all(job.deaths < limit for job in jobs):
                self._finish(deed, hand, jobs)
                return
            hand.send(signal.SIGCONT)

    def _finish(self, deed: str, hand: Hand, jobs: tuple[RunningJob, ...]) -> None:
        if deed == FREEZE:
            self._freeze(hand)
        elif deed == KILL_GROUP:
            hand.send_to_group(signal.SIGKILL)
        else:
            hand.send(signal.SIGKILL)
        self._note(deed, hand, jobs)

    def _freeze(self, hand: Hand) -> None:
        """Stop it for a time, counted by another thread: it may have SQLite's lock, and hold up this one as well."""
        hand.frozen = True
        timer = threading.Timer(FREEZE_SECONDS, hand.thaw)
        timer.daemon = True
        timer.start()
        self._thawing.append(timer)

    def _note(self, deed: str, hand: Hand, jobs: tuple[RunningJob, ...]) -> None:
        self.done[deed] += 1
        self.deaths.append(Death(deed, hand.pid, time.time(), jobs))

    def _running_on(self, hand: Hand) -> tuple[RunningJob, ...]:
        while True:
            with suppress(DatabaseUnavailableError):
                return tuple(running_on(self.database, hand.pid))
            time.sleep(0.1)

    def _cut(self) -> None:
        """End every other connection to the database."""
        assert self.postgres is not None
        self.done[CUT] += 1
        self.postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{self.database_name}' AND pid % 2 = {self.rng.randrange(2)}"
        )

    def _crash(self) -> None:
        assert self.postgres is not None
        self.done[CRASH] += 1
        began = time.time()
        self.postgres.crash_and_restart()
        self.outages.append((began, time.time()))

    def _watch(self) -> None:
        killed: set[int] = set()
        while not self._watching.wait(LOOK_SECONDS):
            with suppress(DatabaseUnavailableError):
                pid = runner_of(self.database, POISON, deaths_below=MAX_DEATHS)  # then it is not run any more
                hand = None if pid is None or pid in killed else self.crew.by_pid(pid)
                if hand is None or hand.frozen:
                    continue
                hand.send(signal.SIGSTOP)
                jobs = self._running_on(hand)
                hand.send(signal.SIGKILL)
                killed.add(hand.pid)
                self._note(POISONED, hand, jobs)
