"""Starts a program that the kernel ends when the process that asked for it is gone, however that process went.

It is run as a script in a process of its own, which becomes the program: asking the kernel between fork and exec would
run Python in a forked, threaded process. The kernel ties the program to the *thread* that started it (prctl(2),
PR_SET_PDEATHSIG), so that thread has to live as long as the program.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""


def tied(command: Sequence[str], *, by: signal.Signals = signal.SIGTERM) -> list[str]:
    """The command that runs another one tied to this process.

    Args:
        command: The program's absolute path and its arguments.
        by: The signal that it gets; SIGTERM lets it close its files in order.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(by)), *command]


def main(arguments: Sequence[str]) -> None:
    """Tie this process to its parent and become the program.

    Args:
        arguments: The parent's process id, the signal's number, the program's path, and its own arguments.
    """
    parent, number, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the line above
        os.kill(os.getpid(), number)
    os.execv(command[0], list(command))  # noqa: S606 - no shell is involved


if __name__ == "__main__":
    main(sys.argv[1:])
