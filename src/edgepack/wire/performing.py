"""Carrying out operations: on the event loop or in a thread, within each caller's rate and the server's capacity."""

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from edgepack.contract.shapes import Shape
from edgepack.service.caller import Caller
from edgepack.service.operations import Handler
from edgepack.wire.threads import Threads
from edgepack.wire.throttling import READ_RATE, WORK_RATE, Rate, Throttle

HANDLER_THREADS: Final = 16
"""Threads for handlers: they wait for the database's one writer, or for a network, more than they compute."""


class Performer:
    """Carries out operations for authenticated callers.

    Args:
        read_rate: What one access key may send of operations that run on the event loop; None for no limit.
        work_rate: What it may send of those that run in a thread; None for no limit.
        clock: Seconds on a clock that does not jump, for the rates.
    """

    def __init__(
        self,
        *,
        read_rate: Rate | None = READ_RATE,
        work_rate: Rate | None = WORK_RATE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._reads = None if read_rate is None else Throttle(read_rate)
        self._work = None if work_rate is None else Throttle(work_rate)
        self._threads = Threads("edgepack-handler", count=HANDLER_THREADS)

    def perform_inline(self, handler: Handler, caller: Caller, request: Any) -> Shape | msgspec.Raw | None:
        """Carry out one operation on the event loop.

        Raises:
            ThrottlingError: The caller's rate is exceeded.
            Exception: Whatever the handler raises.
        """
        if self._reads is not None:
            self._reads.admit(caller.access_key_id, now=self._clock())
        return handler.call(caller, request)

    async def perform(self, handler: Handler, caller: Caller, request: Any) -> Shape | msgspec.Raw | None:
        """Carry out one operation in a thread.

        Raises:
            ThrottlingError: The caller's rate, or the server's capacity, is exceeded.
            Exception: Whatever the handler raises.
        """
        if self._work is not None:
            self._work.admit(caller.access_key_id, now=self._clock())
        return await self._threads.run(handler.call, caller, request)

    def close(self) -> None:
        """Release the threads."""
        self._threads.close()
