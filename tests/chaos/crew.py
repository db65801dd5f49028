"""Worker processes of the test's own: each in a process group that can be killed whole, each replaced when it is."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgepack.tether import tied
from harness import EDGEPACK, RunningServer

STOP_SECONDS = 30.0
"""How long a worker that is told to end may take."""


@dataclass(eq=False)
class Hand:
    """One worker process."""

    process: "subprocess.Popen[bytes]"
    slot: int
    frozen: bool = False

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too, and stands in its executor id."""
        return self.process.pid

    @property
    def lives(self) -> bool:
        """Whether it runs, frozen or not."""
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def thaw(self) -> None:
        """Let it go on after it was stopped."""
        self.send(signal.SIGCONT)
        self.frozen = False

    def send_to_group(self, number: signal.Signals) -> None:
        """Send a signal to it and to everything else in its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


class Crew:
    """A number of workers beside one server. Start and replace them from one thread: they end with it.

    Args:
        server: A server without workers of its own.
        stores: How the worker of each slot reaches the store.
        log: Takes what all of them say.
    """

    def __init__(self, server: RunningServer, stores: list[str], log: Path) -> None:
        self._server = server
        self._stores = stores
        self._log = log
        self.hands = [self._start(slot) for slot in range(len(stores))]

    @property
    def living(self) -> list[Hand]:
        """Those that run and are not frozen."""
        return [hand for hand in self.hands if hand.lives and not hand.frozen]

    def by_pid(self, pid: int) -> Hand | None:
        """The worker of that process id."""
        return next((hand for hand in self.hands if hand.pid == pid), None)

    def replace_dead(self) -> int:
        """Start another worker for each that has ended; how many."""
        dead = [hand for hand in self.hands if not hand.lives]
        for hand in dead:
            self.hands.remove(hand)
            self.hands.append(self._start(hand.slot))
        return len(dead)

    def stop(self) -> list[int]:
        """End them all in order; their exit codes."""
        for hand in self.hands:
            hand.send(signal.SIGCONT)
            hand.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        return [hand.process.wait(max(0.1, deadline - time.monotonic())) for hand in self.hands]

    def kill(self) -> None:
        """End what is left of them."""
        for hand in self.hands:
            hand.send_to_group(signal.SIGKILL)
            hand.process.wait(STOP_SECONDS)

    def _start(self, slot: int) -> Hand:
        command = tied([*EDGEPACK, "worker", "--data", str(self._server.data)])
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command, env=self._environment(slot), stdout=log, stderr=log, start_new_session=True
            )
        return Hand(process, slot)

    def _environment(self, slot: int) -> Mapping[str, str]:
        access = self._server.environment
        return {
            **os.environ,
            **self._server.settings,
            "EDGEPACK_S3_ENDPOINT": self._stores[slot],
            "EDGEPACK_S3_ACCESS_KEY_ID": access["AWS_ACCESS_KEY_ID"],
            "EDGEPACK_S3_SECRET_ACCESS_KEY": access["AWS_SECRET_ACCESS_KEY"],
        }
