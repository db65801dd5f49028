"""A call that may hang, on a thread of its own: whoever wants its result waits for as long as they like, no longer."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class NoAnswerError(Exception):
    """The call has not returned yet."""


class Background(Generic[T]):
    """One call, made again and again, never twice at once: one that hangs takes one thread, however often it is wanted.

    Args:
        name: The thread's.
        call: What to do.
    """

    def __init__(self, name: str, call: Callable[[], T]) -> None:
        self._name = name
        self._call = call
        self._thread: threading.Thread | None = None
        self._value: T
        self._error: Exception | None = None

    def start(self) -> None:
        """Begin the call, unless the last one still goes on."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def result(self, seconds: float) -> T:
        """What the call that was begun last returned, or raised.

        Args:
            seconds: How long to wait for it.

        Raises:
            NoAnswerError: It still goes on.
            Exception: What it raised.
        """
        assert self._thread is not None  # `start` comes first
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            raise NoAnswerError
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        try:
            self._value, self._error = self._call(), None
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self._error = error
