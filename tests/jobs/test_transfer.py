"""From model artifact to package through a real store: equal bytes, one pass, and nothing left when it fails."""

import gzip
import hashlib
import io
import json
import random
import secrets
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgepack.errors import EdgepackError
from edgepack.jobs import transfer_parts
from edgepack.jobs.checking import StoredPackageError, check_stored
from edgepack.jobs.transfer import SourceReplacedError, package_object
from edgepack.jobs.transfer_destination import Destination
from edgepack.jobs.transfer_terms import PackagedObject, Signing, TransferProgress
from edgepack.keys.signing import FileSigner, ensure_signing_keys, export_trust
from edgepack.objects.address import S3Address
from edgepack.objects.errors import (
    BucketNotFoundError,
    EncryptionKeyError,
    ObjectChangedError,
    ObjectNotFoundError,
    StoreAccessDeniedError,
    StoreUnavailableError,
    TargetChangedError,
    TargetContendedError,
    UploadNotFoundError,
)
from edgepack.objects.info import Mark, ObjectInfo
from edgepack.objects.reading import RANGE_BYTES
from edgepack.objects.store import ObjectStore
from edgepack.package.errors import (
    ChecksumError,
    EmptyArchiveError,
    GzipError,
    NotGzipError,
    SignatureError,
    TruncatedError,
    UntrustedSignerError,
)
from edgepack.package.manifest import ModelIdentity, TargetPlatform
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from models import tar_gz
from s3_proxy import Answer, Request, S3Proxy, forward, s3_error
from stores import RunningStore

MIB = 1 << 20
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MARK = Mark(owner="arn:aws:sagemaker:us-east-1:000000000000:edge-packaging-job/mine", created_at=17, attempt=2)
IDENTITY = ModelIdentity(
    model_name="ümlaut model", model_version="1.0", target_platform=TargetPlatform(os="LINUX", arch="ARM64")
)

SMALL = {"model.onnx": b"graph" * 100, "folder/labels.txt": b"cat\ndog\n"}
LARGE = {"first.txt": b"small", "weights.bin": random.Random(7).randbytes(16 * MIB), "last.txt": b"the end"}
SMALL_ARCHIVE = tar_gz(SMALL)
LARGE_ARCHIVE = tar_gz(LARGE, level=0)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def signer(keys: Path) -> FileSigner:
    return ensure_signing_keys(keys, now=NOW)


@pytest.fixture(scope="module")
def trust(keys: Path, signer: FileSigner) -> TrustRoots:
    return TrustRoots.from_pem(export_trust(keys))


@pytest.fixture(scope="module")
def bucket(weed: RunningStore) -> str:
    """One for all tests of this file, since the first object of a bucket takes 0.2 s; each has a folder of its own."""
    return weed.new_bucket()


@pytest.fixture(scope="module")
def sources(weed: RunningStore) -> str:
    return weed.new_bucket()


@pytest.fixture(autouse=True)
def small_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several copied parts even of what is large only for a test."""
    monkeypatch.setattr(transfer_parts, "COPY_PART_BYTES", 5 * MIB)


@dataclass
class Job:
    """One transfer to make, with everything it tells along the way."""

    weed: RunningStore
    bucket: str
    sources: str
    signer: FileSigner
    store_in: ObjectStore
    store_out: ObjectStore
    progress: list[TransferProgress] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    open_uploads: set[str] = field(default_factory=set)
    doubts: list[S3Address] = field(default_factory=list)
    kms_key_id: str | None = None
    folder: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def target(self) -> S3Address:
        return S3Address(self.bucket, f"{self.folder}/out/model 1.0.tar.gz")

    def upload_source(self, archive: bytes) -> ObjectInfo:
        return self.weed.put(S3Address(self.bucket, f"{self.folder}/in/model.tar.gz"), archive)

    def source(self, archive: bytes) -> ObjectInfo:
        """The archive as an object that no test may touch; stored once for all of them."""
        address = S3Address(self.sources, f"{hashlib.sha256(archive).hexdigest()}/model.tar.gz")
        try:
            return self.weed.store.head(address)
        except ObjectNotFoundError:
            return self.weed.put(address, archive)

    def run(
        self,
        source: ObjectInfo,
        *,
        checkpoint: Callable[[TransferProgress], None] | None = None,
        upload_opened: Callable[[str], None] | None = None,
        mark: Mark = MARK,
        replaces: ObjectInfo | None = None,
        written_etag: str | None = None,
    ) -> PackagedObject:
        return package_object(
            store_in=self.store_in,
            source=source,
            written_etag=written_etag,
            destination=Destination(
                store=self.store_out,
                target=self.target,
                kms_key_id=self.kms_key_id,
                mark=mark,
                replaces=replaces,
                upload_opened=upload_opened or self.open_upload,
                upload_closed=self.open_uploads.discard,
                upload_in_doubt=lambda: self.doubts.append(self.target),
            ),
            signing=Signing(identity=IDENTITY, signer=self.signer, signed_at=NOW),
            checkpoint=checkpoint or self.progress.append,
        )

    def open_upload(self, upload_id: str) -> None:
        self.uploads.append(upload_id)
        self.open_uploads.add(upload_id)

    def assert_nothing_left(self) -> None:
        assert self.weed.is_untouched(self.bucket, f"{self.folder}/out")
        assert transfer_threads() == []
        assert self.open_uploads == set()


def transfer_threads() -> list[str]:
    ours = ("read-range", "upload-part", "copy-part", "edgepack-inflate")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(ours)]


@pytest.fixture
def job(weed: RunningStore, bucket: str, sources: str, signer: FileSigner) -> Job:
    """Source and target in one store: large bodies are copied by the store."""
    return Job(weed, bucket, sources, signer, weed.store, weed.store)


@pytest.fixture
def distant(
    weed: RunningStore, bucket: str, sources: str, signer: FileSigner, proxy: S3Proxy, behind_proxy: ObjectStore
) -> Job:
    """As between two stores: every byte must be uploaded."""
    return Job(weed, bucket, sources, signer, weed.store, behind_proxy)


@pytest.fixture
def watched(
    weed: RunningStore, bucket: str, sources: str, signer: FileSigner, proxy: S3Proxy, behind_proxy: ObjectStore
) -> Job:
    """One store, behind the proxy."""
    return Job(weed, bucket, sources, signer, behind_proxy, behind_proxy)


@pytest.fixture(params=["copied", "uploaded"])
def either(request: pytest.FixtureRequest) -> Job:
    """Both ways of writing."""
    job: Job = request.getfixturevalue({"copied": "job", "uploaded": "distant"}[request.param])
    return job


@pytest.fixture(params=[SMALL_ARCHIVE, LARGE_ARCHIVE], ids=["small", "large"])
def archive(request: pytest.FixtureRequest) -> bytes:
    return bytes(request.param)


def check_package(job: Job, packaged: PackagedObject, archive: bytes, trust: TrustRoots) -> bytes:
    """Everything that is to be said of a good package, read by others than the code that wrote it."""
    package = job.weed.content(job.target)
    assert len(package) == packaged.info.size
    assert package[: packaged.prefix_size].startswith(b"\x1f\x8b")
    assert hashlib.sha256(package[: packaged.prefix_size]).hexdigest() == packaged.prefix_sha256
    assert package.endswith(packaged.trailer)
    tar = gzip.decompress(archive)
    assert gzip.decompress(package).endswith(tar)
    with tarfile.open(fileobj=io.BytesIO(package)) as opened, tarfile.open(fileobj=io.BytesIO(tar)) as original:
        manifest = json.load(opened.extractfile("sagemaker_edge_manifest"))  # type: ignore[arg-type]
        assert opened.getnames() == ["sagemaker_edge_manifest", *original.getnames()]
    assert manifest["signature"] == json.loads(packaged.signature_bundle)
    assert packaged.file_count == len(manifest["files"])
    verdict = verify_package([package], trust=trust, now=NOW)
    assert verdict.ok, verdict.problems
    check_stored(job.weed.store, packaged, trust=trust, now=NOW, kms_key_id=None)
    found = job.weed.store.head(job.target)
    assert (found, found.mark) == (packaged.info, MARK)
    assert job.open_uploads == set()
    assert job.weed.store.list_uploads(job.bucket, job.folder) == []
    return package


def test_a_small_model_is_one_part(watched: Job, proxy: S3Proxy, trust: TrustRoots) -> None:
    source = watched.source(SMALL_ARCHIVE)
    packaged = watched.run(source)
    package = check_package(watched, packaged, SMALL_ARCHIVE, trust)
    assert package[packaged.prefix_size : -8] == SMALL_ARCHIVE[10:-8]
    assert [request.query.get("partNumber") for request in proxy.requests("PUT")] == ["1"]
    assert len(watched.uploads) == 1
    assert transfer_threads() == []


def test_what_a_late_worker_still_sends_makes_no_object(watched: Job, proxy: S3Proxy, archive: bytes) -> None:
    """Its last request is held up on the network until everything it had begun has been aborted, by somebody else."""

    def hold_up(request: Request) -> None:
        if request.method == "POST" and "uploadId" in request.query:
            for upload_id in watched.uploads:
                watched.weed.store.abort_upload(watched.target, upload_id)

    source = watched.source(archive)
    proxy.rule = hold_up
    with pytest.raises(UploadNotFoundError):
        watched.run(source)
    watched.assert_nothing_left()


def test_a_large_model_is_read_once_and_copied_by_the_store(watched: Job, proxy: S3Proxy, trust: TrustRoots) -> None:
    source = watched.source(LARGE_ARCHIVE)
    packaged = watched.run(source)
    assert source.size <= proxy.bytes_down < source.size + MIB
    assert proxy.bytes_up < 6 * MIB
    assert any(request.copies for request in proxy.requests("PUT"))
    package = check_package(watched, packaged, LARGE_ARCHIVE, trust)
    assert package[packaged.prefix_size : -8] == LARGE_ARCHIVE[10:-8]
    assert len(watched.uploads) == 1
    assert transfer_threads() == []


def test_a_large_model_goes_to_another_store_in_one_pass(distant: Job, proxy: S3Proxy, trust: TrustRoots) -> None:
    source = distant.source(LARGE_ARCHIVE)
    packaged = distant.run(source)
    package = check_package(distant, packaged, LARGE_ARCHIVE, trust)
    assert package[packaged.prefix_size : -8] == LARGE_ARCHIVE[10:-8]
    assert source.size < proxy.bytes_up < source.size + MIB
    assert not any(request.copies for request in proxy.requests("PUT"))
    numbers = [int(request.query["partNumber"]) for request in proxy.requests("PUT")]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert transfer_threads() == []


def test_a_named_gzip_header_is_left_out(either: Job, trust: TrustRoots) -> None:
    buffer = io.BytesIO()
    with gzip.GzipFile("model with a name.tar", "wb", fileobj=buffer, mtime=1) as file:
        file.write(gzip.decompress(SMALL_ARCHIVE))
    check_package(either, either.run(either.source(buffer.getvalue())), buffer.getvalue(), trust)


@pytest.mark.parametrize("archive", [SMALL_ARCHIVE, LARGE_ARCHIVE], ids=["small", "large"])
def test_several_gzip_members_are_repacked_into_one(either: Job, trust: TrustRoots, archive: bytes) -> None:
    tar = gzip.decompress(archive)
    third = len(tar) // 3
    members = b"".join(gzip.compress(part, 0) for part in (tar[:third], tar[third : 2 * third], tar[2 * third :]))
    packaged = either.run(either.source(members))
    check_package(either, packaged, members, trust)


def test_what_the_store_will_not_copy_is_uploaded(watched: Job, proxy: S3Proxy, trust: TrustRoots) -> None:
    proxy.rule = lambda request: s3_error(501, "NotImplemented") if request.copies else None
    packaged = watched.run(watched.source(LARGE_ARCHIVE))
    check_package(watched, packaged, LARGE_ARCHIVE, trust)
    assert len(watched.uploads) == 2


def test_progress_is_told_to_the_end(either: Job) -> None:
    source = either.source(LARGE_ARCHIVE)
    either.run(source)
    read = [progress.bytes_read for progress in either.progress]
    assert len(read) > 10
    assert read == sorted(read)
    assert either.progress[-1] == TransferProgress(source.size, source.size)


class Stopped(BaseException):
    """Not even an Exception: as an interrupt of the process would be."""


def stop_at(calls: int) -> Callable[[TransferProgress], None]:
    counter = iter(range(1, calls + 1))

    def checkpoint(_: TransferProgress) -> None:
        if next(counter) == calls:
            raise Stopped

    return checkpoint


@pytest.mark.parametrize("calls", [1, 2, 12])
def test_a_stop_at_any_call_leaves_nothing(either: Job, calls: int) -> None:
    source = either.source(LARGE_ARCHIVE)
    with pytest.raises(Stopped):
        either.run(source, checkpoint=stop_at(calls))
    either.assert_nothing_left()


@pytest.mark.parametrize("archive", [SMALL_ARCHIVE, LARGE_ARCHIVE], ids=["small", "large"])
def test_a_stop_after_the_scan_leaves_nothing(either: Job, archive: bytes) -> None:
    source = either.source(archive)

    def checkpoint(_: TransferProgress) -> None:
        if "edgepack-inflate" not in transfer_threads():
            raise Stopped

    with pytest.raises(Stopped):
        either.run(source, checkpoint=checkpoint)
    either.assert_nothing_left()


def test_a_stop_while_the_store_copies_does_not_wait_for_all_of_it(watched: Job, proxy: S3Proxy) -> None:
    source = watched.source(LARGE_ARCHIVE)
    released = threading.Event()

    def slow_copies(request: Request) -> Answer | None:
        if request.copies:
            released.wait(60)
        return None

    def checkpoint(progress: TransferProgress) -> None:
        if progress.bytes_read == source.size and proxy.requests("PUT"):
            released.set()
            raise Stopped

    proxy.rule = slow_copies
    with pytest.raises(Stopped):
        watched.run(source, checkpoint=checkpoint)
    watched.assert_nothing_left()


def test_an_upload_that_could_not_be_noted_is_aborted(either: Job) -> None:
    def refuse(_: str) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        either.run(either.source(LARGE_ARCHIVE), upload_opened=refuse)
    either.assert_nothing_left()


def damaged(archive: bytes) -> bytes:
    middle = len(archive) // 2
    return archive[:middle] + bytes(64) + archive[middle + 64 :]


@pytest.mark.parametrize(
    ("archive", "error"),
    [
        (b"", EmptyArchiveError),
        (b"\x1f", TruncatedError),
        (b"PK\x03\x04 this is a zip", NotGzipError),
        (SMALL_ARCHIVE[:9], TruncatedError),
        (SMALL_ARCHIVE[:12], TruncatedError),
        (SMALL_ARCHIVE[:-1], TruncatedError),
        (LARGE_ARCHIVE[: 12 * MIB], TruncatedError),
        (LARGE_ARCHIVE[:-1], TruncatedError),
        (LARGE_ARCHIVE[:-8] + bytes(8), ChecksumError),
        (damaged(LARGE_ARCHIVE), GzipError),
    ],
    ids=["empty", "one-byte", "zip", "header", "start", "end", "middle", "last-byte", "trailer", "damaged"],
)
def test_a_bad_archive_leaves_nothing(either: Job, archive: bytes, error: type[EdgepackError]) -> None:
    with pytest.raises(error):
        either.run(either.source(archive))
    either.assert_nothing_left()


def test_a_source_replaced_on_the_way_is_never_mixed(either: Job, proxy: S3Proxy, behind_proxy: ObjectStore) -> None:
    source = either.upload_source(LARGE_ARCHIVE)
    either.store_in = behind_proxy
    either.store_out = behind_proxy if either.store_out is either.weed.store else either.weed.store

    def replace(request: Request) -> None:
        if request.headers.get("range", "").startswith(f"bytes={12 * MIB}-"):
            either.upload_source(LARGE_ARCHIVE[:-1] + b"\2")

    proxy.rule = replace
    with pytest.raises(ObjectChangedError, match=r"in/model\.tar\.gz"):
        either.run(source)
    either.assert_nothing_left()


def test_a_source_replaced_before_the_copies_start_is_not_copied(watched: Job, proxy: S3Proxy) -> None:
    source = watched.upload_source(LARGE_ARCHIVE)

    def replace(request: Request) -> None:
        if request.copies and watched.weed.store.head(source.address).etag == source.etag:
            watched.upload_source(LARGE_ARCHIVE[:-1] + b"\2")

    proxy.rule = replace
    with pytest.raises(ObjectChangedError):
        watched.run(source)
    watched.assert_nothing_left()


def test_an_upload_aborted_by_a_successor_ends_the_transfer(either: Job) -> None:
    source = either.source(LARGE_ARCHIVE)

    def supersede(upload_id: str) -> None:
        either.weed.store.abort_upload(either.target, upload_id)

    with pytest.raises(UploadNotFoundError):
        either.run(source, upload_opened=supersede)
    either.assert_nothing_left()


def test_a_store_that_fails_on_one_part_leaves_nothing(distant: Job, proxy: S3Proxy) -> None:
    def fail(request: Request) -> Answer | None:
        return s3_error(507, "InsufficientStorage") if request.query.get("partNumber") == "3" else None

    proxy.rule = fail
    with pytest.raises(EdgepackError, match="part 3 of s3://") as full:
        distant.run(distant.source(LARGE_ARCHIVE))
    assert full.value.code == "StoreFull"
    distant.assert_nothing_left()


def test_a_body_that_breaks_off_once_is_read_again(watched: Job, proxy: S3Proxy, trust: TrustRoots) -> None:
    broken: list[str] = []

    def break_off(request: Request) -> Answer | None:
        wanted = request.headers.get("range", "")
        if request.method != "GET" or broken or not wanted.startswith(f"bytes={8 * MIB}-"):
            return None
        broken.append(wanted)
        first, last = 8 * MIB, 8 * MIB + RANGE_BYTES - 1
        headers = (("Content-Length", str(RANGE_BYTES)), ("Content-Range", f"bytes {first}-{last}/{source.size}"))
        return Answer(206, LARGE_ARCHIVE[first : first + 1000], (*headers, ("Connection", "close")))

    source = watched.source(LARGE_ARCHIVE)
    proxy.rule = break_off
    check_package(watched, watched.run(source), LARGE_ARCHIVE, trust)
    assert broken


def test_an_answer_of_other_bytes_than_asked_for_is_refused(watched: Job, proxy: S3Proxy) -> None:
    source = watched.source(SMALL_ARCHIVE)
    proxy.rule = lambda request: Answer(200, SMALL_ARCHIVE) if request.method == "GET" else None
    with pytest.raises(EdgepackError, match="bytes 0 to"):
        watched.run(source)
    watched.assert_nothing_left()


def test_a_missing_output_bucket_is_named(job: Job) -> None:
    for archive in (SMALL_ARCHIVE, LARGE_ARCHIVE):
        source = job.source(archive)
        there, job.bucket = job.bucket, "no-such-bucket-at-all"
        with pytest.raises(BucketNotFoundError, match="no-such-bucket-at-all"):
            job.run(source)
        job.bucket = there
    assert transfer_threads() == []


def test_an_output_that_may_not_be_written_is_named(distant: Job) -> None:
    distant.store_out = distant.weed.connect(secret_key="wrong")
    for archive in (SMALL_ARCHIVE, LARGE_ARCHIVE):
        with pytest.raises(StoreAccessDeniedError, match="out/model"):
            distant.run(distant.source(archive))
    distant.assert_nothing_left()


def test_a_store_without_kms_is_no_silent_plain_text(job: Job) -> None:
    job.kms_key_id = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"
    with pytest.raises(EncryptionKeyError, match="11111111-2222"):
        job.run(job.source(SMALL_ARCHIVE))
    job.assert_nothing_left()


def test_an_older_package_stays_until_the_new_one_is_whole(either: Job, trust: TrustRoots) -> None:
    old = either.weed.put(either.target, b"the old package")
    source = either.source(LARGE_ARCHIVE)
    with pytest.raises(Stopped):
        either.run(source, checkpoint=stop_at(10), replaces=old)
    assert either.weed.store.head(either.target) == old
    check_package(either, either.run(source, replaces=old), LARGE_ARCHIVE, trust)


def test_a_former_attempt_does_not_replace_what_a_later_one_wrote(either: Job, archive: bytes) -> None:
    source = either.source(archive)
    later = either.run(source, mark=replace(MARK, attempt=MARK.attempt + 1))
    with pytest.raises(TargetContendedError):
        either.run(source)
    assert either.weed.store.head(either.target) == later.info
    assert either.open_uploads == set()


def test_what_somebody_else_wrote_meanwhile_is_left_alone(either: Job, archive: bytes) -> None:
    source = either.source(archive)
    old = either.weed.put(either.target, b"there before")
    theirs = either.weed.put(either.target, b"written meanwhile")
    for replaces in (None, old):
        with pytest.raises(TargetChangedError, match="Somebody else has written"):
            either.run(source, replaces=replaces)
    assert either.weed.store.head(either.target) == theirs


def test_an_answer_that_was_lost_on_its_way_does_no_harm(
    watched: Job, proxy: S3Proxy, archive: bytes, trust: TrustRoots
) -> None:
    """The store has written the package, the answer is lost, and the repeated request is refused."""
    lost: list[str] = []

    def lose(request: Request) -> Answer | None:
        if request.method != "POST" or "uploadId" not in request.query or lost:
            return None
        lost.append(forward(proxy.upstream, request).body.decode())
        return s3_error(503, "ServiceUnavailable")

    source = watched.source(archive)
    proxy.rule = lose
    check_package(watched, watched.run(source), archive, trust)
    assert lost


def test_an_upload_of_which_nobody_was_told_is_told_of(watched: Job, proxy: S3Proxy, trust: TrustRoots) -> None:
    """The store has begun it, and the answer is lost: what is asked again begins another one."""
    lost: list[Answer] = []

    def lose(request: Request) -> Answer | None:
        if request.method != "POST" or "uploads" not in request.query or lost:
            return None
        lost.append(forward(proxy.upstream, request))
        return s3_error(503, "ServiceUnavailable")

    source = watched.source(SMALL_ARCHIVE)
    proxy.rule = lose
    packaged = watched.run(source)
    assert watched.doubts == [watched.target]
    ((_, unknown),) = watched.weed.store.list_uploads(watched.bucket, watched.target.key)
    assert unknown not in watched.uploads
    watched.weed.store.abort_upload(watched.target, unknown)
    check_package(watched, packaged, SMALL_ARCHIVE, trust)


def test_so_is_one_that_the_store_may_have_begun_when_it_went_away(watched: Job, proxy: S3Proxy) -> None:
    source = watched.source(SMALL_ARCHIVE)
    proxy.rule = lambda request: s3_error(503, "SlowDown") if request.method == "POST" else None
    with pytest.raises(StoreUnavailableError):
        watched.run(source)
    assert watched.doubts == [watched.target]


def test_a_model_that_was_replaced_since_it_was_compiled_is_not_packaged(either: Job, archive: bytes) -> None:
    source = either.source(archive)
    either.run(source, written_etag=source.etag)
    either.folder = secrets.token_hex(6)
    with pytest.raises(SourceReplacedError, match="has been replaced since"):
        either.run(source, written_etag='"another"')
    either.assert_nothing_left()


def test_a_bucket_that_keeps_versions(either: Job, trust: TrustRoots) -> None:
    either.bucket = either.weed.new_bucket()
    either.weed.client.put_bucket_versioning(Bucket=either.bucket, VersioningConfiguration={"Status": "Enabled"})
    for archive in (SMALL_ARCHIVE, LARGE_ARCHIVE):
        packaged = either.run(either.source(archive), replaces=either.weed.store.find(either.target))
        assert packaged.info.version_id
        check_package(either, packaged, archive, trust)


def stored(job: Job) -> PackagedObject:
    return job.run(job.source(SMALL_ARCHIVE))


def test_check_finds_another_object(job: Job, trust: TrustRoots) -> None:
    packaged = stored(job)
    job.weed.put(job.target, bytes(packaged.info.size), mark=MARK)
    with pytest.raises(StoredPackageError, match="ETag"):
        check_stored(job.weed.store, packaged, trust=trust, now=NOW, kms_key_id=None)
    job.weed.put(job.target, b"short", mark=MARK)
    with pytest.raises(StoredPackageError, match=r"size 5 instead of \d+"):
        check_stored(job.weed.store, packaged, trust=trust, now=NOW, kms_key_id=None)


@pytest.mark.parametrize("place", ["first", "last"])
def test_check_reads_both_ends(job: Job, trust: TrustRoots, place: str) -> None:
    packaged = stored(job)
    package = bytearray(job.weed.content(job.target))
    package[200 if place == "first" else -1] ^= 1
    damaged = job.weed.put(job.target, bytes(package), mark=MARK)
    believed = replace(packaged, info=damaged)
    with pytest.raises(StoredPackageError, match=f"The {place} [0-9]+ bytes"):
        check_stored(job.weed.store, believed, trust=trust, now=NOW, kms_key_id=None)


def test_check_wants_the_jobs_mark(job: Job, trust: TrustRoots) -> None:
    packaged = stored(job)
    job.weed.put(job.target, job.weed.content(job.target))
    with pytest.raises(StoredPackageError, match="mark None instead of"):
        check_stored(job.weed.store, packaged, trust=trust, now=NOW, kms_key_id=None)


def test_check_wants_the_trusted_signer(job: Job, tmp_path: Path) -> None:
    packaged = stored(job)
    ensure_signing_keys(tmp_path, now=NOW)
    stranger = TrustRoots.from_pem(export_trust(tmp_path))
    with pytest.raises(UntrustedSignerError):
        check_stored(job.weed.store, packaged, trust=stranger, now=NOW, kms_key_id=None)


def test_check_does_not_believe_a_signature_of_the_future(job: Job, trust: TrustRoots) -> None:
    packaged = stored(job)
    with pytest.raises(SignatureError, match="future"):
        check_stored(job.weed.store, packaged, trust=trust, now=NOW - timedelta(days=1), kms_key_id=None)


def test_check_wants_the_encryption_that_was_asked_for(job: Job, trust: TrustRoots) -> None:
    packaged = stored(job)
    with pytest.raises(StoredPackageError, match="no KMS key instead of 'my-key'"):
        check_stored(job.weed.store, packaged, trust=trust, now=NOW, kms_key_id="my-key")


def test_check_wants_the_very_version(job: Job, trust: TrustRoots) -> None:
    """The same bytes, written once more by somebody else under the job's mark."""
    job.bucket = job.weed.new_bucket()
    job.weed.client.put_bucket_versioning(Bucket=job.bucket, VersioningConfiguration={"Status": "Enabled"})
    packaged = stored(job)
    again = job.weed.put(job.target, job.weed.content(job.target), mark=MARK)
    assert again.version_id != packaged.info.version_id
    believed = replace(packaged, info=replace(again, version_id=packaged.info.version_id))
    with pytest.raises(StoredPackageError, match=f"version '{again.version_id}' instead of"):
        check_stored(job.weed.store, believed, trust=trust, now=NOW, kms_key_id=None)


def test_check_wants_the_very_key(job: Job, trust: TrustRoots, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded store has no KMS, so that another one's answer is put in its mouth."""
    packaged, store = stored(job), job.weed.store
    found = replace(store.head(job.target), kms_key_id="arn:aws:kms:us-east-1:000000000000:key/right")
    monkeypatch.setattr(store, "head", lambda _: found)
    check_stored(store, packaged, trust=trust, now=NOW, kms_key_id="right")
    with pytest.raises(StoredPackageError, match="right' instead of 'wrong'"):
        check_stored(store, packaged, trust=trust, now=NOW, kms_key_id="wrong")
