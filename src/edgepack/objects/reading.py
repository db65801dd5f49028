"""Reading an object by parallel ranged GETs: in order, each byte once, never more than a few ranges in memory.

One stream of one connection is bound by its round trips on a real network and, against the embedded store, gave
190 MB/s where four ranges at once gave 900 MB/s (same machine, same minute). Every range is pinned to the version that
was looked at, so that an object replaced halfway gives an error and never a mixture of two.
"""

import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Final

from edgepack.objects.client import translated
from edgepack.objects.errors import ObjectChangedError, StoreRefusedError, StoreUnavailableError
from edgepack.objects.info import ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RANGE_BYTES: Final = 2 << 20
"""Length of one ranged GET in bytes, and the largest chunk that `stream_ranges` yields."""

READ_AHEAD: Final = 4
"""Ranges being fetched or waiting at any moment: with the one in use, 10 MiB of buffers at most."""

RANGE_ATTEMPTS: Final = 5
"""Tries of one range."""

FIRST_PAUSE_SECONDS: Final = 0.1
"""Pause after the first try that failed; it doubles each time."""


def stream_ranges(client: "S3Client", info: ObjectInfo, *, start: int, end: int) -> Generator[bytes, None, None]:
    """Yield the bytes `start` to `end` of an object in order.

    Args:
        client: An S3 client.
        info: The version to read.
        start: First byte's offset.
        end: Offset after the last byte; at most the object's size.

    Yields:
        Chunks of `RANGE_BYTES`, the last one shorter. Closing the generator ends its threads.

    Raises:
        ObjectChangedError: The object was replaced while it was being read.
        ObjectStoreError: Any other failure to read, after retries where they make sense.
    """
    starts = iter(range(start, end, RANGE_BYTES))
    waiting: deque[Future[bytes]] = deque()
    abandoned = threading.Event()
    with ThreadPoolExecutor(READ_AHEAD, thread_name_prefix="read-range") as pool:

        def fetch_next() -> None:
            first = next(starts, None)
            if first is not None:
                last = min(first + RANGE_BYTES, end)
                read = partial(read_range, client, info, start=first, end=last, abandoned=abandoned)
                waiting.append(pool.submit(copy_context().run, read))  # its log lines name the job, too

        try:
            for _ in range(READ_AHEAD):
                fetch_next()
            while waiting:
                chunk = waiting.popleft().result()
                fetch_next()
                yield chunk
                del chunk  # or it would live on while the next range is awaited
        finally:
            abandoned.set()
            pool.shutdown(wait=True, cancel_futures=True)


def read_range(
    client: "S3Client", info: ObjectInfo, *, start: int, end: int, abandoned: threading.Event | None = None
) -> bytes:
    """Read one range whole, again if the store is not available or its answer breaks off.

    Args:
        client: An S3 client that does not retry by itself.
        info: The version to read.
        start: First byte's offset.
        end: Offset after the last byte, greater than `start`.
        abandoned: Set when nobody wants the range any more: it is not tried again then.

    Returns:
        Exactly ``end - start`` bytes.

    Raises:
        ObjectChangedError: The object is no longer that version.
        StoreUnavailableError: Every try failed, or the range was abandoned.
        ObjectStoreError: Any other failure.
    """
    abandoned = abandoned or threading.Event()
    pause = FIRST_PAUSE_SECONDS
    for _ in range(RANGE_ATTEMPTS - 1):
        try:
            return _read_once(client, info, start, end)
        except StoreUnavailableError:
            if abandoned.wait(pause):
                raise
            pause *= 2
    return _read_once(client, info, start, end)


def _read_once(client: "S3Client", info: ObjectInfo, start: int, end: int) -> bytes:
    action = f"read bytes {start} to {end - 1} of"
    with translated(info.address, action):
        answer = client.get_object(
            Bucket=info.address.bucket, Key=info.address.key, Range=f"bytes={start}-{end - 1}", **info.pin
        )
        body = answer["Body"]
        try:
            _check_range(info, start, end, answer.get("ContentRange", ""))
            data: bytes = body.read()
        finally:
            body.close()
    if len(data) != end - start:
        raise StoreUnavailableError(f"Could not {action} {info.address}: {len(data)} of {end - start} bytes came.")
    return data


def _check_range(info: ObjectInfo, start: int, end: int, given: str) -> None:
    """Refuse an answer that is not the range asked for (RFC 9110, section 14.4), before its body is read."""
    if given == f"bytes {start}-{end - 1}/{info.size}":
        return
    if given and not given.endswith(f"/{info.size}"):
        raise ObjectChangedError(f"{info.address} is no longer {info.size} bytes long: {given!r}.")
    raise StoreRefusedError(
        f"The store answered {given!r} when asked for bytes {start} to {end - 1} of {info.address}.",
        advice="The object store must support ranged reads.",
    )
