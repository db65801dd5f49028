"""Leaving early: SIGTERM and Ctrl-C unwind a local command, even while a thread of it waits for a stalled pipe."""

import atexit
import errno
import os
import select
import signal
from types import FrameType

TERMINATED = 128 + signal.SIGTERM
"""Exit code after SIGTERM, as shells count it."""

LOOK_MILLISECONDS = 200
"""How often whoever waits for a pipe looks whether the command is leaving."""

LEAVING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Leaving:
    """A flag and no `threading.Event`, whose lock a handler could find taken by the very thread it interrupts."""

    begun = False


def unwind_on_signals() -> None:
    """Let the first SIGTERM or Ctrl-C unwind the program, so that temporary files go; later ones do not disturb that.

    What is ignored already, as SIGINT of a shell's background job, stays so.
    """
    for number in LEAVING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    atexit.register(_keep_the_exit_code)


def wait_readable(descriptor: int) -> None:
    """Wait until a pipe or a terminal has bytes, or its end has been reached; on any thread.

    Raises:
        InterruptedError: The command is leaving: nobody wants the bytes any more.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while not _Leaving.begun:
        if poll.poll(LOOK_MILLISECONDS):
            return
    raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))


def _leave(number: int, _frame: FrameType | None) -> None:
    if _Leaving.begun:
        return
    _Leaving.begun = True
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(TERMINATED)


def _keep_the_exit_code() -> None:
    """As it ends, the interpreter takes handlers away, and a late signal would kill what has its exit code already.

    Blocked first: of one that arrives just while it begins to be ignored, Python would complain on standard error.
    Then ignored: a thread that has been joined may live for a moment longer, and it would be given the signal.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, LEAVING_SIGNALS)
    for number in LEAVING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
