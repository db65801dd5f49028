"""Processes that end, or are held up, at any durable operation: whatever they change is counted.

A process that has ended does nothing more: whatever its `finally` and `except` clauses still attempt is refused, as a
power cut refuses it. Everything that would run beside it on another thread runs in its turn, so that two runs of the
same work pass the same points in the same order.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import Connection

from edgepack.database.engine import Database
from edgepack.objects.address import S3Address
from edgepack.objects.errors import StoreAccessDeniedError
from edgepack.objects.store import ObjectStore

WRITES = frozenset(
    {
        "create_multipart_upload",
        "upload_part",
        "upload_part_copy",
        "complete_multipart_upload",
        "abort_multipart_upload",
        "put_object",
        "delete_object",
    }
)
"""Requests that change something in the store; edgepack sends no others."""

READS = frozenset({"head_object", "head_bucket", "get_object", "get_paginator"})

BEFORE, WITHIN, AFTER = "before", "within", "after"
"""A request of the store has been decided on but not sent; a transaction has been carried out but not committed; either
is done, and the process does not know it yet."""


class Crash(BaseException):
    """The process has ended."""


class Process:
    """One process: where it has come, and what befalls it there.

    Args:
        befalls: What happens at which point, counted from 0.
    """

    def __init__(self, befalls: Mapping[int, Callable[["Process"], None]] | None = None) -> None:
        self.points: list[str] = []
        self.dead = False
        self._befalls = befalls or {}

    def reach(self, moment: str, what: str) -> None:
        """Come to a point."""
        self.require_alive()
        number = len(self.points)
        self.points.append(f"{moment} {what}")
        if number in self._befalls:
            self._befalls[number](self)
            self.require_alive()

    def require_alive(self) -> None:
        """Do nothing more after the end."""
        if self.dead:
            raise Crash

    def end(self) -> None:
        """End here and now."""
        self.dead = True


class HeldUp:
    """Holds a process up until it is let go, as SIGSTOP and SIGCONT do; not in a transaction: others wait for that."""

    def __init__(self) -> None:
        self.arrived, self._free = threading.Event(), threading.Event()

    def __call__(self, process: Process) -> None:
        if not process.points[-1].startswith(WITHIN):
            self.arrived.set()
            assert self._free.wait(60)

    def let_go(self) -> None:
        self._free.set()


class WatchedDatabase(Database):
    """A database as one process uses it.

    Args:
        real: The database.
        process: The process.
        committed: Called after every commit.
    """

    def __init__(self, real: Database, process: Process, committed: Callable[[], None]) -> None:
        self.url, self.engine, self._reads = real.url, real.engine, real._reads
        self.process = process
        self._committed = committed

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self.process.require_alive()
        with super().read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self.process.reach(BEFORE, "a transaction")
        with super().write() as connection:
            yield connection
            self.process.reach(WITHIN, "a transaction")
        self._committed()
        self.process.reach(AFTER, "a transaction")


class WatchedStore(ObjectStore):
    """A store as one process uses it: its own clients, every request of which is a point if it changes anything.

    Args:
        real: The store.
        process: The process.
        lists_uploads: Whether it may list the uploads of others.
    """

    def __init__(self, real: ObjectStore, process: Process, *, lists_uploads: bool = True) -> None:
        self.connection = real.connection
        self._clients: Any = tuple(_WatchedClient(client, process) for client in real._clients)
        self._lists_uploads = lists_uploads

    def list_uploads(self, bucket: str, prefix: str = "") -> list[tuple[S3Address, str]]:
        if not self._lists_uploads:
            raise StoreAccessDeniedError("Access denied.")
        return super().list_uploads(bucket, prefix)


class _WatchedClient:
    def __init__(self, client: Any, process: Process) -> None:
        self._client = client
        self._process = process

    def __getattr__(self, name: str) -> Any:
        assert name in WRITES | READS, f"{name}: does it change anything in the store?"
        request = getattr(self._client, name)

        def send(*arguments: Any, **parameters: Any) -> Any:
            self._process.require_alive()
            if name in READS:
                return request(*arguments, **parameters)
            self._process.reach(BEFORE, name)
            answer = request(*arguments, **parameters)
            self._process.reach(AFTER, name)
            return answer

        return send


class EngineInTurn:
    """The engine's steps without the engine: each is run, once, and its end is a point."""

    @staticmethod
    def run_step(options: Mapping[str, Any], perform: Callable[..., bool], *arguments: Any) -> bool:
        go_on = perform(*arguments)
        perform.__self__.database.process.reach(AFTER, f"step {options['name']}")  # type: ignore[attr-defined]
        return go_on


class PoolInTurn:
    """A pool of threads without threads: what is handed in is done at once."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:  # noqa: BLE001 - as the real one does
            future.set_exception(error)
        return future

    def shutdown(self, **_: Any) -> None: ...
