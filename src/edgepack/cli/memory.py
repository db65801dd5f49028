"""Keeping a worker small: buffers of megabytes come and go in many threads, and glibc would keep what each once had."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""From malloc.h (mallopt(3))."""

ARENAS = 2
"""Heaps that threads share; the default is eight per core: a job of 1 GB took 212 MB of memory, with two 139."""

MMAP_BYTES = 1024 * 1024
TRIM_BYTES = 4 * 1024 * 1024
"""Free bytes at a heap's end that are given back; fixed, because glibc raises it to twice the largest buffer freed."""


def keep_small() -> None:
    """Tell glibc so; does nothing where the C library is another one."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)
        mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)
        mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
