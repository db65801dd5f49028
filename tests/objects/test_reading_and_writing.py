"""Reading, writing, copying and deleting, against a real SeaweedFS."""

import itertools
import os
import random
import threading
from typing import Any

import pytest

from edgepack.objects.address import S3Address
from edgepack.objects.errors import (
    BucketNotFoundError,
    ObjectChangedError,
    ObjectNotFoundError,
    StoreAccessDeniedError,
    StoreUnavailableError,
    UploadNotFoundError,
)
from edgepack.objects.info import Mark, ObjectInfo
from edgepack.objects.ports import draw_ports
from edgepack.objects.reading import RANGE_BYTES
from stores import RunningStore

MIB = 1 << 20
MARK = Mark(owner="arn:aws:sagemaker:us-east-1:000000000000:edge-packaging-job/mine", created_at=17, attempt=2)


def reader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("read-range")]


def test_what_put_says_is_what_head_finds(weed: RunningStore, bucket: str) -> None:
    address = S3Address(bucket, "a folder/ünïcode+name&.tar.gz")
    written = weed.put(address, b"content", mark=MARK)
    assert weed.store.head(address) == written
    assert (written.size, written.mark, written.kms_key_id) == (7, MARK, None)
    assert weed.content(address) == b"content"
    metadata = weed.client.head_object(Bucket=bucket, Key=address.key)["Metadata"]
    assert metadata == {"edgepack-owner": MARK.owner, "edgepack-created-at": "17", "edgepack-attempt": "2"}


@pytest.mark.parametrize(
    "metadata",
    [
        {"other": "thing"},
        {"edgepack-owner": "arn"},
        {"edgepack-owner": "arn", "edgepack-created-at": "x", "edgepack-attempt": "1"},
    ],
)
def test_an_object_of_somebody_else_has_no_mark(weed: RunningStore, bucket: str, metadata: dict[str, str]) -> None:
    weed.client.put_object(Bucket=bucket, Key="plain", Body=b"x", Metadata=metadata)
    assert weed.store.head(S3Address(bucket, "plain")).mark is None


@pytest.mark.parametrize("size", [0, 1, RANGE_BYTES, RANGE_BYTES + 1, 3 * RANGE_BYTES - 1, 6 * RANGE_BYTES + 17])
def test_a_stream_gives_every_byte_once_and_in_order(weed: RunningStore, bucket: str, size: int) -> None:
    content = random.Random(size).randbytes(size)
    info = weed.put(S3Address(bucket, "streamed"), content)
    chunks = list(weed.store.stream(info))
    assert b"".join(chunks) == content
    assert all(len(chunk) == RANGE_BYTES for chunk in chunks[:-1])
    start, end = size // 3, size - size // 5
    assert b"".join(weed.store.stream(info, start=start, end=end)) == content[start:end]


@pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 10), (3, 7), (9, 10), (5, 5), (5, 99), (10, 20)])
def test_a_range_is_cut_at_the_objects_end(weed: RunningStore, bucket: str, start: int, end: int) -> None:
    info = weed.put(S3Address(bucket, "ranged"), b"0123456789")
    assert weed.store.read_range(info, start=start, end=end) == b"0123456789"[start:end]


def test_a_closed_stream_leaves_no_thread(weed: RunningStore, bucket: str) -> None:
    info = weed.put(S3Address(bucket, "left"), bytes(5 * RANGE_BYTES))
    stream = weed.store.stream(info)
    assert len(next(stream)) == RANGE_BYTES
    assert reader_threads()
    stream.close()
    assert not reader_threads()


def test_an_object_replaced_during_the_read_is_never_mixed(weed: RunningStore, bucket: str) -> None:
    address = S3Address(bucket, "replaced")
    info = weed.put(address, b"a" * (12 * RANGE_BYTES))
    stream = weed.store.stream(info)
    read = [next(stream)]
    weed.client.put_object(Bucket=bucket, Key=address.key, Body=b"b" * (12 * RANGE_BYTES))
    with pytest.raises(ObjectChangedError, match=f"s3://{bucket}/replaced"):
        read.extend(stream)
    assert set(b"".join(read)) == set(b"a")
    assert len(read) < 12
    assert not reader_threads()
    with pytest.raises(ObjectChangedError):
        weed.store.read_range(info, start=0, end=1)


def test_an_old_version_stays_readable_where_versions_are_kept(weed: RunningStore, bucket: str) -> None:
    weed.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    address = S3Address(bucket, "versioned")
    first = weed.put(address, b"first")
    assert first.version_id
    assert weed.store.head(address) == first
    second = weed.put(address, b"second")
    assert weed.store.read_range(first, start=0, end=99) == b"first"
    assert weed.store.delete_if_unchanged(second)
    assert weed.store.head(address) == first


def test_a_completion_replaces_nothing_but_what_it_was_told(weed: RunningStore, bucket: str) -> None:
    address = S3Address(bucket, "once")

    def complete(**condition: Any) -> ObjectInfo:
        upload = weed.store.begin_upload(address)
        upload.upload_part(1, os.urandom(8))
        try:
            return upload.complete(**condition)
        finally:
            upload.abort()

    first = complete(only_if_absent=True)
    with pytest.raises(ObjectChangedError, match="once"):
        complete(only_if_absent=True)
    assert weed.store.head(address) == first
    second = complete(only_if=first)
    with pytest.raises(ObjectChangedError, match="once"):
        complete(only_if=first)
    assert weed.store.head(address) == second
    assert weed.store.list_uploads(bucket) == []


def test_delete_if_unchanged_spares_what_somebody_else_put_there(weed: RunningStore, bucket: str) -> None:
    address = S3Address(bucket, "deleted")
    mine = weed.put(address, b"mine")
    weed.client.put_object(Bucket=bucket, Key=address.key, Body=b"theirs")
    assert not weed.store.delete_if_unchanged(mine)
    assert weed.content(address) == b"theirs"
    theirs = weed.store.head(address)
    assert weed.store.delete_if_unchanged(theirs)
    assert weed.is_untouched(bucket)
    weed.store.delete_if_unchanged(theirs)


def test_parts_in_any_order_make_one_object(weed: RunningStore, bucket: str) -> None:
    address = S3Address(bucket, "parts")
    parts = {number: os.urandom(5 * MIB + number) for number in (1, 2, 3)}
    last = b"the end"
    upload = weed.store.begin_upload(address, mark=MARK)
    for number in (3, 1, 2):
        upload.upload_part(number, parts[number])
    upload.upload_part(4, last)
    with pytest.raises(ObjectNotFoundError):
        weed.store.head(address)
    written = upload.complete()
    assert weed.store.head(address) == written
    assert written.mark == MARK
    assert weed.content(address) == b"".join(parts.values()) + last
    assert weed.store.list_uploads(bucket) == []


def test_the_store_copies_ranges_itself(weed: RunningStore, bucket: str) -> None:
    content = os.urandom(11 * MIB)
    source = weed.put(S3Address(bucket, "from here +%.tar.gz"), content)
    upload = weed.store.begin_upload(S3Address(bucket, "copied"))
    upload.copy_part(2, source, first=5 * MIB + 3, last=len(content) - 9)
    upload.upload_part(1, b"h" * (5 * MIB))
    upload.upload_part(3, b"tail")
    written = upload.complete()
    expected = b"h" * (5 * MIB) + content[5 * MIB + 3 : -8] + b"tail"
    assert written.size == len(expected)
    assert weed.content(written.address) == expected


def test_a_replaced_source_is_not_copied(weed: RunningStore, bucket: str) -> None:
    address = S3Address(bucket, "source")
    source = weed.put(address, bytes(6 * MIB))
    weed.client.put_object(Bucket=bucket, Key=address.key, Body=b"\1" * (6 * MIB))
    upload = weed.store.begin_upload(S3Address(bucket, "target"))
    with pytest.raises(ObjectChangedError, match="source"):
        upload.copy_part(1, source, first=0, last=source.size - 1)
    upload.abort()
    assert weed.is_untouched(bucket, "target")


def test_an_aborted_upload_leaves_nothing_and_takes_nothing_more(weed: RunningStore, bucket: str) -> None:
    address = S3Address(bucket, "aborted")
    upload = weed.store.begin_upload(address)
    upload.upload_part(1, bytes(5 * MIB))
    assert weed.store.list_uploads(bucket, "abor") == [(address, upload.upload_id)]
    weed.store.abort_upload(address, upload.upload_id)
    with pytest.raises(UploadNotFoundError, match="part 2 of s3://"):
        upload.upload_part(2, b"late")
    with pytest.raises(UploadNotFoundError):
        upload.complete()
    upload.abort()
    weed.store.abort_upload(S3Address("no-such-bucket-at-all", "x"), upload.upload_id)
    assert weed.is_untouched(bucket)


def test_what_is_missing_is_named(weed: RunningStore, bucket: str) -> None:
    with pytest.raises(ObjectNotFoundError) as missing:
        weed.store.head(S3Address(bucket, "some/model.tar.gz"))
    assert missing.value.message == f"There is no object s3://{bucket}/some/model.tar.gz."
    assert missing.value.advice
    nowhere = S3Address("no-such-bucket-at-all", "k")
    with pytest.raises(BucketNotFoundError, match="'no-such-bucket-at-all'"):
        weed.store.head(nowhere)
    with pytest.raises(BucketNotFoundError, match="s3://no-such-bucket-at-all/k"):
        weed.store.begin_upload(nowhere)


@pytest.mark.parametrize("wrong", [{"secret_key": "not-the-secret"}, {"access_key": "AKIANOBODYNOBODYNOBO"}])
def test_a_refused_user_is_told_so(weed: RunningStore, bucket: str, wrong: dict[str, str]) -> None:
    stranger, address = weed.connect(**wrong), S3Address(bucket, "closed")
    with pytest.raises(StoreAccessDeniedError, match=f"s3://{bucket}/closed"):
        stranger.head(address)
    with pytest.raises(StoreAccessDeniedError) as refused:
        stranger.begin_upload(address)
    assert weed.credential.secret_key not in str(refused.value)
    assert weed.is_untouched(bucket)


def test_a_store_that_does_not_answer_may_be_asked_again(weed: RunningStore) -> None:
    (port,) = draw_ports(1)
    absent = weed.connect(endpoint=f"http://127.0.0.1:{port}")
    with pytest.raises(StoreUnavailableError, match="Could not look at s3://somewhere/x") as unavailable:
        absent.head(S3Address("somewhere", "x"))
    assert unavailable.value.retryable


def test_the_environment_has_no_say(weed: RunningStore, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "AKIASOMEBODYELSE",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_SESSION_TOKEN": "y",
        "AWS_PROFILE": "missing",
        "AWS_REGION": "eu-west-9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    address = S3Address(bucket, "deaf")
    upload = weed.connect().begin_upload(address)
    upload.upload_part(1, b"x")
    assert upload.complete() == weed.store.head(address)


def test_only_the_same_store_and_user_can_copy(weed: RunningStore, bucket: str) -> None:
    info = weed.put(S3Address(bucket, "x"), b"x")
    assert weed.connect().can_copy_from(weed.store, info, kms_key_id=None)
    others = [weed.connect(**change) for change in ({"access_key": "AKIAOTHER"}, {"endpoint": "http://127.0.0.1:1"})]
    for one, other in itertools.permutations([weed.store, *others], 2):
        assert not one.can_copy_from(other, info, kms_key_id=None)
    assert not weed.store.can_copy_from(weed.store, info, kms_key_id="some-key")


def test_no_secret_in_a_repr(weed: RunningStore) -> None:
    for thing in (weed.store, weed.store.connection, weed.credential, weed.embedded):
        assert weed.credential.secret_key not in repr(thing)
