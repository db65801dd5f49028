"""Starts a program that the kernel ends when the process that asked for it is gone, however that process went.

Run as a script in a process of its own (`python -I -S tether.py PARENT PROGRAM ARGUMENT…`), never imported for its
effect: asking the kernel between fork and exec would run Python in a forked, threaded process. The kernel ties the
program to the *thread* that started it (prctl(2), PR_SET_PDEATHSIG), so that thread has to live as long as the program.
"""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""From linux/prctl.h."""


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and become the program.

    Args:
        arguments: The parent's process id, the program's path, and the program's own arguments.
    """
    parent, program = int(arguments[0]), arguments[1]
    # SIGTERM and not SIGKILL: the program closes its files in order, which takes about a second.
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the line above
        os.kill(os.getpid(), signal.SIGTERM)
    os.execv(program, arguments[1:])  # noqa: S606 - the path comes from our own settings, and no shell is involved


if __name__ == "__main__":
    main(sys.argv[1:])
