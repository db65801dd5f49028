"""Takes a process's view of files and network away, by Linux's Landlock, except for what it needs.

A compiler runs as the same user as the worker, so permissions alone would let a model that has taken the compiler over
read the signing key. Landlock needs no privilege and cannot be undone; where the kernel lacks it, nothing is confined.
Source: landlock(7), and "Landlock: unprivileged access control" of the kernel's documentation.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

CREATE_RULESET: Final = 444
ADD_RULE: Final = 445
RESTRICT_SELF: Final = 446
"""System call numbers, the same on every architecture that edgepack runs on."""

CREATE_RULESET_VERSION: Final = 1
RULE_PATH_BENEATH: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
FIRST_VERSION_RIGHTS: Final = (1 << 13) - 1
"""All rights on files of the first version; the named ones above came with versions 2, 3 and 5."""

FILE_RIGHTS: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""Rights that a rule on a file, not a directory, may give."""

NET_BIND_AND_CONNECT: Final = 0b11
"""TCP, since version 4."""

SCOPE_SOCKETS_AND_SIGNALS: Final = 0b11
"""Abstract Unix sockets and signals to processes outside, since version 6."""

NET_VERSION, SCOPE_VERSION = 4, 6

SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/sys")
"""Programs, libraries, and what the system says of its processors."""

SYSTEM_FILES = (
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/passwd", "/dev/urandom", "/dev/random", "/dev/zero"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems"),
)
"""What libraries look at. Not all of /etc and /proc: other programs' credentials and environments are there."""

DEVICE_SINKS = ("/dev/null",)


def confine(*, writable: Iterable[Path], hidden: Path) -> bool:
    """Leave this process, and all it starts, the system, the Python installation and the `writable` folders. For good.

    To be called while there is one thread. TCP is closed too, where the kernel is of version 6.7 or later.

    Args:
        writable: Existing folders in which everything is allowed, but devices and running programs.
        hidden: A folder that is not to be seen, wherever it is, but for what of it is in `writable`.

    Returns:
        False if this kernel has no Landlock, or has it switched off: nothing has changed then.

    Raises:
        OSError: The kernel has it but refused the rules.
    """
    libc, version = ctypes.CDLL(None, use_errno=True), landlock_version()
    if version < 1:
        return False
    handled = _handled_rights(version)
    net = NET_BIND_AND_CONNECT if version >= NET_VERSION else 0
    scopes = SCOPE_SOCKETS_AND_SIGNALS if version >= SCOPE_VERSION else 0
    attributes = struct.pack("=QQQ", handled, net, scopes)[: 8 + 8 * (version >= NET_VERSION) + 8 * bool(scopes)]
    ruleset = _checked(libc.syscall(CREATE_RULESET, attributes, len(attributes), 0))
    try:
        for path in readable_paths(hidden=hidden):
            _allow(libc, ruleset, path, handled & (EXECUTE | READ_FILE | READ_DIR))
        for path in map(Path, DEVICE_SINKS):
            _allow(libc, ruleset, path, handled & (READ_FILE | WRITE_FILE | TRUNCATE))
        for path in writable:
            _allow(libc, ruleset, path, handled & ~(EXECUTE | IOCTL_DEV))
        _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(libc.syscall(RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def landlock_version() -> int:
    """The version of the kernel's Landlock interface; less than 1 if it has none, or has it switched off."""
    return int(ctypes.CDLL(None, use_errno=True).syscall(CREATE_RULESET, None, 0, CREATE_RULESET_VERSION))


def readable_paths(*, hidden: Path) -> set[Path]:
    """What every compiler may read and run: the system's folders, this Python, and where its modules come from.

    Args:
        hidden: Left out: a folder that it lies in is replaced by everything else in it.
    """
    python = [sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path]
    paths = {Path(path) for path in (*SYSTEM_FOLDERS, *SYSTEM_FILES, *python)}
    return {seen for path in paths if path.is_absolute() for seen in _without(path, hidden)}


def _without(path: Path, hidden: Path) -> Iterator[Path]:
    if path == hidden:
        return
    if hidden.is_relative_to(path.resolve()) and path.is_dir():
        for entry in path.iterdir():
            yield from _without(entry, hidden)
    else:
        yield path


def _handled_rights(version: int) -> int:
    added = ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV))
    return FIRST_VERSION_RIGHTS | sum(right for since, right in added if version >= since)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not path.is_dir():
            rights &= FILE_RIGHTS
        rule = struct.pack("=Qi", rights, descriptor)
        _checked(libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "Landlock")
    return result
