"""An open-loop probe: requests at a steady rate, each timed from when it was due, however long the one before took."""

import http.client
import math
import socket
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle

ANSWER_SECONDS = 30.0
"""How long an answer may take."""


@dataclass(frozen=True)
class Latency:
    """What a probe came to.

    Attributes:
        answers: Answers with status 200.
        failures: Other answers, and none.
        p50_ms: Median time from when a request was due to its whole answer.
        p99_ms: The same of the slowest hundredth.
    """

    answers: int
    failures: int
    p50_ms: float
    p99_ms: float


@dataclass
class Probe:
    """Sends requests over one connection.

    Args:
        port: Where the server listens on the loopback interface.
        requests: Whole HTTP requests as bytes, sent in turn.
        per_second: How many a second.
    """

    port: int
    requests: Sequence[bytes]
    per_second: float
    _times: list[float] = field(default_factory=list)
    _failures: int = 0

    def run(self, seconds: float) -> None:
        """Send for that long."""
        to_send, start = cycle(self.requests), time.perf_counter()
        with socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS) as connection:
            for number in range(int(seconds * self.per_second)):
                due = start + number / self.per_second
                time.sleep(max(0.0, due - time.perf_counter()))
                if _answered(connection, next(to_send)):
                    self._times.append(time.perf_counter() - due)
                else:
                    self._failures += 1

    def latency(self) -> Latency:
        """What came of it."""
        times = sorted(self._times) or [math.nan]
        return Latency(
            len(self._times), self._failures, 1000 * statistics.median(times), 1000 * times[len(times) * 99 // 100]
        )


def _answered(connection: socket.socket, request: bytes) -> bool:
    connection.sendall(request)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status == http.HTTPStatus.OK


def run_together(probes: Sequence[Probe], seconds: float) -> list[Latency]:
    """Run several probes side by side; what came of each."""
    threads = [threading.Thread(target=probe.run, args=(seconds,), name="probe") for probe in probes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [probe.latency() for probe in probes]
