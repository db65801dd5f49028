"""A child process that never outlives us, and the lock that keeps two of them off one folder."""

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from edgepack.errors import StateError
from edgepack.tether import tied

ORPHAN_SECONDS: Final = 10.0
"""How long a program whose keeper was killed may take to close its files; about a second is usual."""

POLL_SECONDS: Final = 0.01
"""How often something that will be ready within a second is looked at."""


class TetheredProcess:
    """A running program that the kernel ends when this process is gone, even by SIGKILL.

    The kernel watches the thread that started the program (see `tether`), so a thread of our own starts it, waits for
    its end, and lives exactly as long.

    Args:
        command: The program's absolute path and its arguments.
        folder: Its working directory.
        environment: Its whole environment.
        output: File that its standard output and error are appended to.
        keep_open: A file descriptor that it is to inherit.

    Raises:
        OSError: It could not be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        output: Path,
        keep_open: int,
    ) -> None:
        self._command = tied(command)
        self._folder, self._environment, self._output, self._keep_open = folder, environment, output, keep_open
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._started, self._ended = threading.Event(), threading.Event()
        threading.Thread(target=self._keep, name="embedded-store-keeper", daemon=True).start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended.is_set()

    @property
    def process_id(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        assert self._process is not None
        if self.alive:
            self._process.send_signal(number)

    def stop(self, *, patience: float) -> None:
        """End it: SIGTERM, and SIGKILL if it has not ended after `patience` seconds."""
        self.signal(signal.SIGTERM)
        if not self._ended.wait(patience):
            self.signal(signal.SIGKILL)
            self._ended.wait()

    def _keep(self) -> None:
        try:
            with self._output.open("ab") as output:
                self._process = subprocess.Popen(  # noqa: S603 - our own settings, and no shell is involved
                    self._command,
                    cwd=self._folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=[self._keep_open],
                    start_new_session=True,  # Ctrl-C is for us; the store ends after what still uses it
                )
        except OSError as error:
            self._failure = error
            self._ended.set()
            return
        finally:
            self._started.set()
        _note_holder(self._keep_open, self._process.pid)
        self._process.wait()
        self._ended.set()


def lock_folder(folder: Path, *, patience: float) -> int:
    """Lock a folder against other processes and wait for the one that still has it.

    The lock belongs to the open file: a child that inherits the descriptor holds it for as long as it lives, so the
    store's own process keeps it when ours is killed, and a new one waits until the old one has closed its files.

    Args:
        folder: An existing folder.
        patience: How long to wait for the present holder, in seconds.

    Returns:
        The file descriptor, for the caller to pass on and to close.

    Raises:
        StateError: Somebody else had it all that time.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience
    while not _try_lock(descriptor):
        left = deadline - time.monotonic()
        if left <= 0:
            os.close(descriptor)
            raise StateError(
                f"The embedded store's folder {folder} is in use by another process.",
                advice="Stop the other edgepack that uses this data folder, or give this one a folder of its own.",
            )
        if left < patience - ORPHAN_SECONDS:
            _end_orphan(descriptor, folder)
        time.sleep(POLL_SECONDS)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _note_holder(descriptor: int, process_id: int) -> None:
    """Leave in the lock file who keeps the program and which process it is."""
    with suppress(OSError):  # the descriptor may be closed already; then an orphan is waited for, no more
        os.pwrite(descriptor, f"{os.getpid():>10} {process_id:>10}\n".encode(), 0)


def _end_orphan(descriptor: int, folder: Path) -> None:
    """Kill the program that holds the lock if its keeper is dead: seen once to hang while it closed its files.

    What it has confirmed to anybody is on the disk. Both process ids may be others' by now: nothing is done while the
    keeper's number is taken, and the program is known by the folder on its command line.
    """
    keeper, _, program = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip().rpartition(" ")
    if not (keeper.strip().isdigit() and program.isdigit()) or Path(f"/proc/{keeper.strip()}").exists():
        return
    with suppress(OSError):
        if os.fsencode(folder) in Path(f"/proc/{program}/cmdline").read_bytes():
            os.kill(int(program), signal.SIGKILL)
