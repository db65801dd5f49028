"""Calls that wait, off the event loop: a bounded number of threads with a bounded queue before them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final, ParamSpec, TypeVar

from edgepack.errors import ThrottlingError

MAX_PENDING: Final = 256
"""Calls waiting for a thread or running in one, beyond which further ones are throttled."""

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A bounded executor with a bounded queue.

    Args:
        name: Prefix of the threads' names.
        count: How many threads.
        max_pending: How many calls may wait or run.
    """

    def __init__(self, name: str, *, count: int, max_pending: int = MAX_PENDING) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._max_pending = max_pending
        self._pending = 0

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call in a thread and wait for it.

        Raises:
            ThrottlingError: Too many calls are waiting.
        """
        if self._pending >= self._max_pending:
            raise ThrottlingError("The server has more work waiting than it takes on.")
        self._pending += 1
        try:
            context = copy_context()  # what the call logs is about the same request
            return await asyncio.get_running_loop().run_in_executor(
                self._executor, lambda: context.run(_call, call, args, kwargs)
            )
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Start nothing more; what runs is left to end by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _call(call: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    try:
        return call(*args, **kwargs)
    except StopIteration as error:
        # A future cannot carry this one: the request would wait for ever.
        raise RuntimeError("A handler let a StopIteration escape.") from error
