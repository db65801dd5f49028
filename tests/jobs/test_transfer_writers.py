"""Both writers lose no byte at the edges of parts, however the body arrives."""

import random
from collections.abc import Callable

import pytest

from edgepack.jobs.transfer_destination import Destination
from edgepack.jobs.transfer_parts import MIB, MIN_PART_BYTES, UPLOAD_PART_BYTES, plan_copies
from edgepack.jobs.transfer_writers import CopyingWriter, PackageWriter, UploadingWriter
from edgepack.objects.address import S3Address
from edgepack.objects.info import Mark
from stores import RunningStore

EDGE = MIN_PART_BYTES + UPLOAD_PART_BYTES
PREFIX, TRAILER = b"prefix " * 1000, b"trailer."


@pytest.fixture
def destination(weed: RunningStore, bucket: str) -> Destination:
    return Destination(
        store=weed.store,
        target=S3Address(bucket, "package"),
        kms_key_id=None,
        mark=Mark(owner="arn:mine", created_at=1, attempt=1),
        replaces=None,
        upload_opened=lambda _: None,
        upload_closed=lambda _: None,
        upload_in_doubt=lambda: None,
    )


def nothing() -> None:
    """Go on."""


def feed(writer: PackageWriter, body: bytes, step: int) -> None:
    view = memoryview(body)
    for position in range(0, len(body), step):
        writer.take(view[position : position + step])


@pytest.mark.parametrize(
    ("size", "step"),
    [
        (0, 1),
        (1, 1),
        (MIN_PART_BYTES, MIB),
        (MIN_PART_BYTES + 1, 4 * MIB),
        (EDGE - 1, MIB + 1),
        (EDGE, 4 * MIB),
        (EDGE + 1, 20 * MIB),
        (EDGE + UPLOAD_PART_BYTES, 3 * MIB - 1),
    ],
)
def test_uploads(weed: RunningStore, destination: Destination, size: int, step: int) -> None:
    body = random.Random(size).randbytes(size)
    writer = UploadingWriter(destination, body_size=size)
    feed(writer, body, step)
    written = writer.finish(bytearray(PREFIX), TRAILER, go_on=nothing)
    assert weed.content(destination.target) == PREFIX + body + TRAILER
    assert weed.store.head(destination.target) == written


@pytest.mark.parametrize("size", [2 * MIN_PART_BYTES, 2 * MIN_PART_BYTES + 1, 3 * MIN_PART_BYTES - 1])
def test_copies(weed: RunningStore, bucket: str, destination: Destination, size: int) -> None:
    content = random.Random(size).randbytes(23 + size + 8)
    source = weed.put(S3Address(bucket, "source"), content)
    writer = CopyingWriter(destination, source=source, plan=plan_copies(23, 23 + size))
    feed(writer, content[23:-8], 4 * MIB)
    written = writer.finish(bytearray(PREFIX), TRAILER, go_on=nothing)
    assert weed.content(destination.target) == PREFIX + content[23:-8] + TRAILER
    assert weed.store.head(destination.target) == written


@pytest.mark.parametrize("make", ["uploads", "copies"])
def test_nothing_appears_when_the_last_question_is_answered_no(
    weed: RunningStore, bucket: str, destination: Destination, make: str
) -> None:
    size = EDGE + 1
    content = random.Random(1).randbytes(size)
    makers: dict[str, Callable[[], PackageWriter]] = {
        "uploads": lambda: UploadingWriter(destination, body_size=size),
        "copies": lambda: CopyingWriter(
            destination, source=weed.put(S3Address(bucket, "source"), content), plan=plan_copies(0, size)
        ),
    }
    writer = makers[make]()
    feed(writer, content, MIB)

    def superseded() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        writer.finish(bytearray(PREFIX), TRAILER, go_on=superseded)
    writer.abort()
    assert weed.is_untouched(bucket, "package")
