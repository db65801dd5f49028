"""The processes of `edgepack serve`, workers and store: watched, started again when they end, ended with it."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgepack.cli.leaving import LEAVING_SIGNALS
from edgepack.errors import StateError
from edgepack.settings import Settings
from edgepack.tether import tied

if TYPE_CHECKING:
    from edgepack.objects.embedded import EmbeddedStore

log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
"""Wait before a process that ended is replaced; doubled while it keeps ending at once, up to the maximum."""
MAX_RESTART_SECONDS = 4.0
"""Short enough for a job to be in other hands within 15 s of its worker's death, whatever happened before."""
SETTLED_SECONDS = 20.0
"""A process that lived this long started well: the next wait is the first one again."""
STORE_CHECK_SECONDS = 0.5
"""How often the store is looked at."""
STOP_SECONDS = 10.0
"""How long workers get to end, beyond their --drain-seconds, before they are killed; a job survives either."""


class RestartPause:
    """How long to wait before what has ended is started again.

    Args:
        monotonic: Seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._started_at = 0.0
        self._wait = RESTART_SECONDS

    def started(self) -> None:
        """Note the start."""
        self._started_at = self._monotonic()

    def after_end(self) -> float:
        """Seconds to wait now that it has ended."""
        if self._monotonic() - self._started_at > SETTLED_SECONDS:
            self._wait = RESTART_SECONDS
        wait, self._wait = self._wait, min(2 * self._wait, MAX_RESTART_SECONDS)
        return wait


class Workers:
    """A fixed number of `edgepack worker` children, each of which runs by itself.

    Args:
        settings: The settings; the children get the same ones.
        count: How many.
        store: The embedded store's URL, and the id and secret of a key for it; None where the children find their store
            by the settings.
    """

    def __init__(self, settings: Settings, *, count: int, store: tuple[str, tuple[str, str]] | None = None) -> None:
        self._command = _worker_command(settings, store and store[0])
        self._environment = _worker_environment(settings, store and store[1])
        self._count = count
        self._patience = settings.drain_seconds + STOP_SECONDS
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start the children; each has a thread that replaces it when it ends."""
        for number in range(self._count):
            thread = threading.Thread(target=self._keep, args=(number,), name=f"worker-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End the children: SIGTERM, again at every signal that comes meanwhile, and SIGKILL to what does not end."""
        self._stopping.set()
        deadline = time.monotonic() + self._patience
        with signals_handled(self._terminate):
            self._terminate()
            for thread in self._threads:
                thread.join(timeout=max(0.0, deadline - time.monotonic()))
        for child in list(self._running.values()):
            child.kill()

    def _terminate(self) -> None:
        for child in list(self._running.values()):
            child.terminate()

    def _keep(self, number: int) -> None:
        pause = RestartPause()
        while not self._stopping.is_set():
            pause.started()
            code = self._run(number)
            if self._stopping.is_set():
                return
            wait = pause.after_end()
            log.warning("worker %d ended with code %d; starting another in %.0f s", number, code, wait)
            self._stopping.wait(wait)

    def _run(self, number: int) -> int:
        child = subprocess.Popen(  # noqa: S603 - our own command
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the server, which ends its workers in order
        )
        self._running[number] = child
        if self._stopping.is_set():
            child.terminate()
        code = child.wait()
        self._running.pop(number, None)
        return code


class StoreKeeper:
    """Runs the embedded store, and starts it again on the same port when it ends by itself.

    Args:
        store: The store.
    """

    def __init__(self, store: "EmbeddedStore") -> None:
        self._store = store
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="store-keeper", daemon=True)

    def start(self) -> str:
        """Start it, and watch it from now on; its URL.

        Raises:
            StateError: It does not start.
        """
        self._store.start()
        self._thread.start()
        return self._store.endpoint

    def stop(self) -> None:
        """Watch no more, and stop the store."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._store.stop()

    def _keep(self) -> None:
        pause = RestartPause()
        pause.started()
        while not self._stopping.wait(STORE_CHECK_SECONDS):
            if self._store.alive:
                continue
            wait = pause.after_end()
            log.error("the embedded store has ended; starting it again in %.0f s", wait)
            if self._stopping.wait(wait):
                return
            pause.started()
            try:
                self._store.start()
            except StateError as error:
                log.warning("%s", error.diagnostics())


@contextmanager
def signals_handled(handler: Callable[[], object]) -> Iterator[None]:
    """Have a function called for each SIGTERM and Ctrl-C, in the main thread, for the time of the block."""
    before = {number: signal.signal(number, lambda *_: handler()) for number in LEAVING_SIGNALS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _worker_command(settings: Settings, embedded_store: str | None) -> list[str]:
    command = [sys.executable, "-m", "edgepack", "worker", "--workers", "1", "--data", str(settings.data_folder)]
    command += ["--region", settings.region, "--log-level", settings.log_level]
    command += ["--drain-seconds", str(settings.drain_seconds)]
    endpoint = settings.s3_endpoint or embedded_store
    if endpoint is not None:
        command += ["--s3-endpoint", endpoint]
    return tied([*command, "--embedded-store"] if settings.s3_endpoint is None and embedded_store else command)


def _worker_environment(settings: Settings, store_key: tuple[str, str] | None) -> dict[str, str]:
    # Secrets and the database's URL (which may hold a password) go by the environment: command lines are public.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("EDGEPACK_")}
    if settings.database is not None:
        environment["EDGEPACK_DATABASE"] = settings.database
    access_key_id, secret = store_key or (settings.s3_access_key_id, settings.s3_secret_access_key)
    if access_key_id is not None and secret is not None:
        environment["EDGEPACK_S3_ACCESS_KEY_ID"] = access_key_id
        environment["EDGEPACK_S3_SECRET_ACCESS_KEY"] = secret
    return environment
