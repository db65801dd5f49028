"""A job that packages what an earlier one has packaged: when its digests are taken over, and when they are not."""

import gzip
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgepack.contract.compilation_jobs import TargetPlatform
from edgepack.database import outputs
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.records import CompiledModel, EdgePackagingJob
from edgepack.jobs import known_archives
from edgepack.jobs.attempt import Attempt
from edgepack.jobs.disk_room import DiskRoom
from edgepack.jobs.edge_packaging import EdgePackagingWork, target_of
from edgepack.jobs.known_archives import KnownArchive, find_known, source_fingerprint
from edgepack.jobs.lifecycle import ACTIVE
from edgepack.keys.signing import FileSigner, ensure_signing_keys, export_trust
from edgepack.objects.address import S3Address
from edgepack.objects.errors import ObjectChangedError, ObjectNotFoundError
from edgepack.objects.info import ObjectInfo
from edgepack.objects.store import ObjectStore
from edgepack.package.gzip_format import TRAILER_SIZE
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from models import tar_gz
from rows import packaging_row
from s3_proxy import Answer, Request, S3Proxy, forward, s3_error
from stores import RunningStore

MIB = 1 << 20
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACCOUNT = "000000000000"


def archive_of(seed: int) -> bytes:
    """An archive that the store copies; of the same size whatever the seed."""
    return tar_gz({"weights.bin": random.Random(seed).randbytes(12 * MIB), "labels.txt": b"cat\ndog\n"}, level=0)


ARCHIVE, OTHER_ARCHIVE = archive_of(1), archive_of(2)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[FileSigner, TrustRoots]:
    folder = tmp_path_factory.mktemp("keys")
    return ensure_signing_keys(folder, now=NOW), TrustRoots.from_pem(export_trust(folder))


@dataclass
class Jobs:
    """Edge packaging jobs, run step by step without an engine, on one bucket."""

    database: Database
    weed: RunningStore
    proxy: S3Proxy
    store: ObjectStore
    signer: FileSigner
    trust: TrustRoots
    bucket: str
    now: datetime = NOW
    ids: dict[str, int] = field(default_factory=dict)

    @property
    def source(self) -> S3Address:
        return S3Address(self.bucket, "compiled/model.tar.gz")

    @property
    def work(self) -> EdgePackagingWork:
        return EdgePackagingWork(
            self.database,
            store=self.store,
            room=DiskRoom(None),
            signer=self.signer,
            trust=self.trust,
            clock=lambda: int(self.now.timestamp() * 1_000_000),
        )

    def keep_versions(self, status: str = "Enabled") -> None:
        self.weed.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": status})  # type: ignore[typeddict-item]

    def create(self, name: str, *, account_id: str = ACCOUNT, key: str | None = None, etag: str | None = None) -> None:
        compiled = CompiledModel(
            artifact_uri=self.source.uri,
            artifact_etag=etag,
            target_device=None,
            target_platform=TargetPlatform(os="LINUX", arch="ARM64"),
        )
        row = packaging_row(
            name,
            account_id=account_id,
            compiled_model=msgspec.json.encode(compiled),
            output_bucket=self.bucket,
            output_key=key or f"packaged/{name}.tar.gz",
        )
        with self.database.write() as connection:
            job = edge_packaging_jobs.insert(connection, row)
            outputs.claim(connection, target_of(job).place, job.arn)
        self.ids[name] = job.id

    def attempt(self, name: str, number: int = 1) -> Attempt[EdgePackagingJob]:
        attempt = Attempt(self.database, edge_packaging_jobs, self.work.clock, job_id=self.ids[name], number=number)
        attempt.refresh()
        return attempt

    def run(self, name: str, **changes: Any) -> str:
        """Create a job and run it to its end; its status message."""
        self.create(name, **changes)
        return self.go_on(name)

    def go_on(self, name: str, number: int = 1) -> str:
        self.proxy.seen = []
        for _, step in self.work.steps(self.attempt(name, number)):
            step()
        job = self.row(name)
        assert job.status == "COMPLETED"
        return job.status_message

    def row(self, name: str) -> EdgePackagingJob:
        with self.database.read() as connection:
            job = edge_packaging_jobs.by_id(connection, self.ids[name])
        assert job is not None
        return job

    def package(self, name: str) -> bytes:
        return self.weed.content(target_of(self.row(name)))

    @property
    def source_bytes_read(self) -> int:
        """Bytes of the source that the last job was sent."""
        path = f"/{self.source.bucket}/{self.source.key}"
        return sum(len(a.body) for r, a in self.proxy.seen if r.method == "GET" and r.path == path)

    def assert_scanned(self, name: str, archive: bytes = ARCHIVE, *, body: bytes | None = None) -> None:
        """The job has read everything, and what it made is right."""
        assert self.source_bytes_read >= len(archive)
        assert "not read anew" not in self.row(name).status_message
        self.assert_right(name, archive[10:-8] if body is None else body)

    def assert_reused(self, name: str, earlier: str, archive: bytes = ARCHIVE) -> None:
        """The job has read next to nothing, and what it made is right all the same."""
        assert self.source_bytes_read < 5 * MIB + 200_000
        assert f"those that edge packaging job {earlier!r} signed" in self.row(name).status_message
        self.assert_right(name, archive[10:-8])

    def assert_right(self, name: str, body: bytes) -> None:
        package = self.package(name)
        verdict = verify_package([package], trust=self.trust, now=self.now)
        assert verdict.ok, verdict.problems
        assert package[-len(body) - 8 : -8] == body or not body


@pytest.fixture
def jobs(
    database: Database,
    weed: RunningStore,
    proxy: S3Proxy,
    behind_proxy: ObjectStore,
    keys: tuple[FileSigner, TrustRoots],
) -> Jobs:
    """One job has packaged the archive, in a bucket that keeps versions."""
    jobs = Jobs(database, weed, proxy, behind_proxy, *keys, bucket=weed.new_bucket())
    jobs.keep_versions()
    weed.put(jobs.source, ARCHIVE)
    jobs.run("first")
    jobs.assert_scanned("first")
    return jobs


def test_the_same_version_is_not_read_again(jobs: Jobs) -> None:
    jobs.run("second")
    jobs.assert_reused("second", "first")
    first, second = jobs.package("first"), jobs.package("second")
    size = len(ARCHIVE) - 18
    assert first[-8 - size : -8] == second[-8 - size : -8]
    jobs.run("third")
    jobs.assert_reused("third", "second")


def test_a_package_may_replace_the_one_that_its_digests_come_from(jobs: Jobs) -> None:
    jobs.run("second", key=target_of(jobs.row("first")).key)
    jobs.assert_reused("second", "first")
    assert jobs.row("first").source_fingerprint is None
    jobs.run("third")
    jobs.assert_reused("third", "second")


@pytest.mark.parametrize("versions", ["never kept", "Suspended"])
def test_what_has_no_version_of_its_own_is_read(jobs: Jobs, versions: str) -> None:
    if versions == "Suspended":
        jobs.keep_versions("Suspended")
    else:
        jobs.bucket = jobs.weed.new_bucket()
    jobs.weed.put(jobs.source, ARCHIVE)
    for name in ("second", "third"):
        jobs.run(name)
        jobs.assert_scanned(name)
        assert jobs.row(name).source_fingerprint is None


def test_what_was_there_before_versions_were_kept_is_read(jobs: Jobs) -> None:
    jobs.bucket = jobs.weed.new_bucket()
    jobs.weed.put(jobs.source, ARCHIVE)
    jobs.keep_versions()
    for name in ("second", "third"):
        jobs.run(name)
        jobs.assert_scanned(name)


@pytest.mark.parametrize("archive", [ARCHIVE, OTHER_ARCHIVE], ids=["same bytes", "other bytes"])
def test_a_new_version_is_read(jobs: Jobs, archive: bytes) -> None:
    before = jobs.weed.store.head(jobs.source)
    after = jobs.weed.put(jobs.source, archive)
    assert (after.size, after.etag == before.etag) == (before.size, archive == ARCHIVE)
    jobs.run("second")
    jobs.assert_scanned("second", archive)
    jobs.run("third")
    jobs.assert_reused("third", "second", archive)


def test_a_version_that_was_written_over_is_none_any_more(jobs: Jobs) -> None:
    """SeaweedFS keeps versions as files: who suspends versioning can write over one, under a name of its own making."""
    version = jobs.weed.store.head(jobs.source).version_id
    jobs.keep_versions("Suspended")
    jobs.weed.put(S3Address(jobs.bucket, f"{jobs.source.key}.versions/v_{version}"), OTHER_ARCHIVE)
    jobs.keep_versions()
    assert jobs.weed.content(jobs.source) == OTHER_ARCHIVE
    assert source_fingerprint(jobs.store.head(jobs.source)) is None
    assert known(jobs) is None


def test_what_a_fingerprint_tells_apart(jobs: Jobs) -> None:
    found = jobs.row("first")
    info = jobs.weed.store.head(jobs.source)
    assert source_fingerprint(info) == found.source_fingerprint
    for other in (
        replace(info, address=S3Address(jobs.bucket, "compiled/other.tar.gz")),
        replace(info, address=S3Address("other", jobs.source.key)),
        replace(info, version_id="another"),
        replace(info, etag='"another"'),
        replace(info, size=info.size + 1),
        replace(info, written_at=1),
    ):
        assert source_fingerprint(other) not in {None, found.source_fingerprint}
    for unproven in (replace(info, version_id=None), replace(info, version_id="null"), replace(info, written_at=None)):
        assert source_fingerprint(unproven) is None


def test_what_another_account_knows_is_not_used(jobs: Jobs) -> None:
    jobs.run("second", account_id="111111111111")
    jobs.assert_scanned("second")


def test_what_an_edgepack_with_other_rules_let_pass_is_read(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_archives, "__version__", "another")
    jobs.run("second")
    jobs.assert_scanned("second")


def test_a_compiled_model_that_was_replaced_is_still_refused(jobs: Jobs) -> None:
    jobs.create("second", etag='"another"')
    with pytest.raises(Exception, match="has been replaced since"):
        jobs.go_on("second")
    assert jobs.weed.is_untouched(jobs.bucket, "packaged/second")


def test_small_models_are_read(jobs: Jobs) -> None:
    small = tar_gz({"labels.txt": b"cat\ndog\n"})
    jobs.weed.put(jobs.source, small)
    for name in ("second", "third"):
        jobs.run(name)
        jobs.assert_scanned(name, small)


def test_what_was_compressed_anew_is_read(jobs: Jobs) -> None:
    tar = gzip.decompress(ARCHIVE)
    members = gzip.compress(tar[: len(tar) // 2], 0) + gzip.compress(tar[len(tar) // 2 :], 0)
    jobs.weed.put(jobs.source, members)
    for name in ("second", "third"):
        jobs.run(name)
        jobs.assert_scanned(name, members, body=b"")
        assert jobs.row(name).source_fingerprint is None


def removed(jobs: Jobs, package: S3Address) -> None:
    jobs.weed.client.delete_object(Bucket=package.bucket, Key=package.key)


def replaced_by_what_is_no_package(jobs: Jobs, package: S3Address) -> None:
    jobs.weed.put(package, bytes(len(ARCHIVE) + 10_000))


def cut_short(jobs: Jobs, package: S3Address) -> None:
    jobs.weed.put(package, jobs.weed.content(package)[:1000])


def damaged(jobs: Jobs, package: S3Address) -> None:
    content = bytearray(jobs.weed.content(package))
    content[700] ^= 1
    jobs.weed.put(package, bytes(content))


def replaced_by_another_signed_package(jobs: Jobs, package: S3Address) -> None:
    """Of another model of the same size, signed by the same root; its head has the same size, too."""
    there = jobs.weed.store.head(jobs.source)
    jobs.weed.put(jobs.source, OTHER_ARCHIVE)
    jobs.run("other")
    jobs.weed.put(package, jobs.package("other"))
    jobs.weed.client.delete_object(
        Bucket=jobs.bucket, Key=jobs.source.key, VersionId=jobs.weed.store.head(jobs.source).version_id or ""
    )
    assert jobs.weed.store.head(jobs.source) == there


@pytest.mark.parametrize(
    "harm",
    [removed, replaced_by_what_is_no_package, cut_short, damaged, replaced_by_another_signed_package],
)
def test_without_the_very_package_all_is_read(
    jobs: Jobs, harm: Callable[[Jobs, S3Address], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edgepack.jobs.known_archives")
    harm(jobs, target_of(jobs.row("first")))
    jobs.run("second")
    jobs.assert_scanned("second")
    assert "is scanned anew: the package of arn:aws:sagemaker" in caplog.text


def test_another_root_believes_nothing(jobs: Jobs, tmp_path: Path) -> None:
    jobs.signer = ensure_signing_keys(tmp_path, now=NOW)
    jobs.trust = TrustRoots.from_pem(export_trust(tmp_path))
    jobs.run("second")
    jobs.assert_scanned("second")


def known(jobs: Jobs, *, now: datetime = NOW, source: ObjectInfo | None = None) -> KnownArchive | None:
    source = source or jobs.store.head(jobs.source)
    return find_known(jobs.database, jobs.store, source, account_id=ACCOUNT, trust=jobs.trust, now=now)


def test_a_signer_whose_certificate_has_expired_is_not_built_upon(jobs: Jobs) -> None:
    assert known(jobs) is not None
    assert known(jobs, now=NOW + timedelta(days=11 * 365)) is None


def test_a_store_that_fails_makes_nothing_known(jobs: Jobs) -> None:
    source = jobs.store.head(jobs.source)
    jobs.proxy.rule = lambda _: s3_error(403, "AccessDenied")
    assert known(jobs, source=source) is None


def test_of_what_is_too_large_for_a_head_nothing_is_read(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, package = known(jobs), target_of(jobs.row("first"))
    assert archive is not None
    prefix_size = len(jobs.package("first")) - TRAILER_SIZE - archive.coverage.deflate_size

    def bytes_read() -> int:
        return sum(len(a.body) for r, a in jobs.proxy.seen if r.method == "GET" and r.path.endswith(package.key))

    jobs.proxy.seen = []
    monkeypatch.setattr(known_archives, "PREFIX_SIZE_MAX", prefix_size - 1)
    assert known(jobs) is None
    assert bytes_read() == 0
    monkeypatch.setattr(known_archives, "PREFIX_SIZE_MAX", prefix_size)
    assert known(jobs) == archive
    assert bytes_read() == prefix_size


@pytest.mark.parametrize("member", ["tar_crc32", "tar_size", "deflate_size"])
def test_a_source_that_is_not_the_body_that_was_signed_is_read(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    right = known(jobs)
    assert right is not None
    coverage = msgspec.structs.replace(right.coverage, **{member: getattr(right.coverage, member) - 1})
    wrong = replace(right, coverage=coverage)
    monkeypatch.setattr("edgepack.jobs.edge_packaging.find_known", lambda *_, **__: wrong)
    jobs.run("second")
    jobs.assert_scanned("second")


def test_what_the_store_will_not_copy_is_read(jobs: Jobs) -> None:
    jobs.proxy.rule = lambda request: s3_error(501, "NotImplemented") if request.copies else None
    jobs.run("second")
    jobs.assert_scanned("second")


def looks_again(jobs: Jobs, request: Request) -> bool:
    """Whether a request looks at the source's version, and not at whichever is the present one."""
    return request.method == "HEAD" and request.path.endswith(jobs.source.key) and "versionId" in request.query


def written_later(jobs: Jobs, request: Request) -> Answer | None:
    if not looks_again(jobs, request):
        return None
    answer = forward(jobs.proxy.upstream, request)
    dated = [(name, value) for name, value in answer.headers if name.lower() != "last-modified"]
    return replace(answer, headers=(*dated, ("Last-Modified", "Wed, 25 Nov 2099 04:05:06 GMT")))


def test_a_version_that_is_written_over_while_the_store_copies_is_refused(jobs: Jobs) -> None:
    jobs.proxy.rule = lambda request: written_later(jobs, request)
    jobs.create("second")
    with pytest.raises(ObjectChangedError, match="written anew"):
        jobs.go_on("second")
    assert jobs.weed.is_untouched(jobs.bucket, "packaged/second")


def test_nothing_is_recorded_of_a_version_that_was_written_over_while_it_was_read(jobs: Jobs) -> None:
    jobs.weed.put(jobs.source, ARCHIVE)
    jobs.proxy.rule = lambda request: written_later(jobs, request)
    jobs.run("second")
    assert jobs.row("second").source_fingerprint is None
    jobs.proxy.reset()
    jobs.run("third")
    jobs.assert_scanned("third")


def test_the_next_attempt_does_it_as_well(jobs: Jobs) -> None:
    jobs.create("second")
    steps = iter(jobs.work.steps(jobs.attempt("second")))
    _, package = next(steps)
    package()
    with jobs.database.write() as connection:
        workflow = jobs.row("second").workflow_id
        edge_packaging_jobs.begin_attempt(
            connection, after=workflow, workflow_id=secrets.token_hex(8), died=True, statuses=ACTIVE
        )
    jobs.go_on("second", number=2)
    jobs.assert_reused("second", "first")
    assert jobs.weed.store.list_uploads(jobs.bucket) == []


def test_a_stopped_job_leaves_nothing(jobs: Jobs) -> None:
    jobs.create("second")

    def stop(request: Request) -> None:
        if request.copies:
            with jobs.database.write() as connection:
                edge_packaging_jobs.change(connection, jobs.ids["second"], expected=ACTIVE, status="STOPPING")

    jobs.proxy.rule = stop
    attempt = jobs.attempt("second")
    for _, step in jobs.work.steps(attempt):
        if not jobs.work.perform(attempt, step):
            break
    assert jobs.row("second").status == "STOPPED"
    assert jobs.weed.is_untouched(jobs.bucket, "packaged/second")


def test_looking_again_at_a_version(jobs: Jobs) -> None:
    info = jobs.store.head(jobs.source)
    jobs.store.require_unchanged(info)
    jobs.weed.put(jobs.source, OTHER_ARCHIVE)
    jobs.store.require_unchanged(info)
    assert info.written_at is not None
    with pytest.raises(ObjectChangedError):
        jobs.store.require_unchanged(replace(info, written_at=info.written_at + 1))
    jobs.weed.client.delete_object(Bucket=jobs.bucket, Key=jobs.source.key, VersionId=info.version_id or "")
    with pytest.raises(ObjectNotFoundError):
        jobs.store.require_unchanged(info)
