"""The worker processes of `edgepack serve`: started, watched, restarted, ended together with it."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time

from edgepack.settings import Settings

log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
"""Wait before a worker that ended is replaced; doubled while it keeps ending at once, up to the maximum."""
MAX_RESTART_SECONDS = 30.0
SETTLED_SECONDS = 20.0
"""A worker that lived this long started well: the next wait is the first one again."""
STOP_SECONDS = 10.0
"""How long workers get to hand on their jobs before they are killed; a job survives either."""

PR_SET_PDEATHSIG = 1  # prctl(2): the signal this process gets when its parent dies


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends, however that happens: no orphaned workers."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == 1:  # the parent was gone before the call
        os.kill(os.getpid(), signal.SIGTERM)


class Workers:
    """A fixed number of `edgepack worker` children.

    Args:
        settings: The server's settings; the children get the same ones.
        s3_endpoint: The store's URL, also when it is the embedded one.
        s3_access_key_id: Key for it.
        s3_secret_access_key: Its secret, handed on in the children's environment, never on their command line.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        s3_endpoint: str,
        s3_access_key_id: str,
        s3_secret_access_key: str,
    ) -> None:
        self._command = _worker_command(settings, s3_endpoint)
        self._environment = _worker_environment(settings, s3_access_key_id, s3_secret_access_key)
        self._count = settings.worker_count
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
        """End the children: SIGTERM, then, after `STOP_SECONDS`, SIGKILL."""
        self._stopping.set()
        deadline = time.monotonic() + STOP_SECONDS
        for child in list(self._running.values()):
            child.terminate()
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
        for child in list(self._running.values()):
            child.kill()

    def _keep(self, number: int) -> None:
        wait = RESTART_SECONDS
        while not self._stopping.is_set():
            started = time.monotonic()
            code = self._run(number)
            if self._stopping.is_set():
                return
            wait = (
                RESTART_SECONDS if time.monotonic() - started > SETTLED_SECONDS else min(wait * 2, MAX_RESTART_SECONDS)
            )
            log.warning("worker %d ended with code %d; starting another in %.0f s", number, code, wait)
            self._stopping.wait(wait)

    def _run(self, number: int) -> int:
        child = subprocess.Popen(self._command, env=self._environment, stdin=subprocess.DEVNULL)  # noqa: S603 - our own command
        self._running[number] = child
        if self._stopping.is_set():
            child.terminate()
        code = child.wait()
        self._running.pop(number, None)
        return code


def _worker_command(settings: Settings, s3_endpoint: str) -> list[str]:
    command = [sys.executable, "-m", "edgepack", "worker", "--of-server", "--data", str(settings.data_folder)]
    command += ["--region", settings.region, "--log-level", settings.log_level, "--s3-endpoint", s3_endpoint]
    return [*command, "--embedded-store"] if settings.s3_endpoint is None else command


def _worker_environment(settings: Settings, access_key_id: str, secret: str) -> dict[str, str]:
    # Secrets and the database's URL (which may hold a password) go by the environment: command lines are public.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("EDGEPACK_")}
    if settings.database is not None:
        environment["EDGEPACK_DATABASE"] = settings.database
    environment["EDGEPACK_S3_ACCESS_KEY_ID"] = access_key_id
    environment["EDGEPACK_S3_SECRET_ACCESS_KEY"] = secret
    return environment
