"""A closed-loop HTTP load generator: on each connection one request at a time, the next one when the answer is there.

It is one event loop of uvloop, about 10 µs a request, so that on a core of its own it keeps a Python server busy.
"""

import asyncio
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import cast

import uvloop

CLOCK_TICKS_PER_SECOND = 100
"""USER_HZ of /proc/PID/stat on Linux, whatever the kernel's own tick is (proc_pid_stat(5))."""

PATIENCE_SECONDS = 2.0
"""How long after the end of a run an answer may still come; after it the connection is broken off."""

HEAD_END = b"\r\n\r\n"
CLOSING = b"\r\nConnection: close"
GOOD = b"HTTP/1.1 200"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")


@dataclass(frozen=True)
class Load:
    """What one run of load came to.

    Attributes:
        requests: Answers with status 200.
        failures: Other answers, and connections that broke off.
        seconds: Wall time.
        p50_ms: Median time from request to whole answer; with many connections mostly time in the server's queue.
        p99_ms: The same of the slowest hundredth.
        cpu_seconds: CPU time of the server process meanwhile, all threads.
    """

    requests: int
    failures: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Good answers a second."""
        return self.requests / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """The server's CPU time for one request."""
        return 1e6 * self.cpu_seconds / max(1, self.requests)


def run_load(port: int, process_id: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Load:
    """Load a server on the loopback interface.

    Args:
        port: Where it listens.
        process_id: Its process, for its CPU time.
        requests: Whole HTTP requests as bytes, sent in turn.
        connections: How many at once.
        seconds: How long.
    """
    run = _Run(cycle(requests), time.perf_counter() + seconds)
    cpu, start = _cpu_seconds(process_id), time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run.drive(port, connections))
    wall, cpu = time.perf_counter() - start, _cpu_seconds(process_id) - cpu
    times = sorted(run.times) or [0.0]
    return Load(
        requests=len(run.times),
        failures=run.failures,
        seconds=wall,
        p50_ms=1000 * statistics.median(times),
        p99_ms=1000 * times[len(times) * 99 // 100],
        cpu_seconds=cpu,
    )


class _Run:
    """One run: what is still to be sent, and what came back."""

    def __init__(self, requests: Iterator[bytes], deadline: float) -> None:
        self.requests = requests
        self.deadline = deadline
        self.times: list[float] = []
        self.failures = 0

    async def drive(self, port: int, connections: int) -> None:
        await asyncio.gather(*(self._keep_connected(port) for _ in range(connections)))

    async def _keep_connected(self, port: int) -> None:
        """Connect, and connect again where the server closes after an answer."""
        loop = asyncio.get_running_loop()
        while time.perf_counter() < self.deadline:
            try:
                _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
            except OSError:
                self.failures += 1
                await asyncio.sleep(0.01)
                continue
            patience = loop.call_later(self.deadline + PATIENCE_SECONDS - time.perf_counter(), connection.abort)
            await connection.closed
            patience.cancel()


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._received = b""
        self._sent_at = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        head_end = received.find(HEAD_END)
        if head_end < 0:
            return
        length = _LENGTH.search(received, 0, head_end)
        if length is None or len(received) < head_end + len(HEAD_END) + int(length[1]):
            return
        now = time.perf_counter()
        if received.startswith(GOOD):
            self._run.times.append(now - self._sent_at)
        else:
            self._run.failures += 1
        self._received, self._sent_at = b"", 0.0
        if now < self._run.deadline and received.find(CLOSING, 0, head_end) < 0:
            self._send()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Wait no longer."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature is asyncio's
        if self._sent_at:
            self._run.failures += 1
        self.closed.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._run.requests))


def _cpu_seconds(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_SECOND
