"""A right signature over wrong things: what a trusted signer's package must still be, and what no assembler may mix."""

import dataclasses
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from edgepack.keys.signing import FileSigner
from edgepack.package import errors
from edgepack.package.assembly import frame_package
from edgepack.package.canonical import canonical_json
from edgepack.package.manifest import Manifest, TargetPlatform, decode_manifest
from edgepack.package.scan import ArchiveScan, scan_archive
from edgepack.package.statement import Resource, Serialization, Statement, Subject, SubjectDigest, root_digest
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import Verdict, verify_package
from models import tar_gz
from package.conftest import IDENTITY, NOW
from package.making import Forgery, forged, framed

ARCHIVE = tar_gz({"a": b"first", "b": b"second"})


def verdict(signer: FileSigner, trust: TrustRoots, forgery: Forgery) -> Verdict:
    return verify_package([forged(ARCHIVE, signer, forgery)], trust=trust, now=NOW)


def test_without_forgery_it_verifies(signer: FileSigner, trust: TrustRoots) -> None:
    assert verdict(signer, trust, Forgery()).ok


# --- statements


def covering(**changes: Any) -> Callable[[Statement], Statement]:
    def change(statement: Statement) -> Statement:
        coverage = replace(statement.predicate.edgepack, **changes)
        return replace(statement, predicate=replace(statement.predicate, edgepack=coverage))

    return change


def listing(change: Callable[[list[Resource]], list[Resource]]) -> Callable[[Statement], Statement]:
    """Other files, and the root digest that belongs to them."""

    def changed(statement: Statement) -> Statement:
        resources = change(msgspec.json.decode(statement.predicate.resources, type=list[Resource]))
        digest = SubjectDigest(sha256=root_digest(resources))
        subject = Subject(digest=digest, name=statement.subject[0].name)
        predicate = replace(statement.predicate, resources=msgspec.Raw(canonical_json(resources)))
        return replace(statement, predicate=predicate, subject=(subject,))

    return changed


def about(**changes: Any) -> Callable[[Statement], Statement]:
    return lambda statement: replace(statement, subject=(replace(statement.subject[0], **changes),))


def reading(**changes: Any) -> Callable[[Statement], Statement]:
    def change(statement: Statement) -> Statement:
        serialization: Serialization = replace(statement.predicate.serialization, **changes)
        return replace(statement, predicate=replace(statement.predicate, serialization=serialization))

    return change


STATEMENTS: list[tuple[str, Callable[[Statement], Statement], str]] = [
    ("no files", listing(lambda _: []), "root digest"),
    ("a file less", listing(lambda files: files[:1]), "files are not those"),
    ("a file more", listing(lambda files: [*files, Resource("sha256", "0" * 64, "c")]), "files are not those"),
    ("a file twice", listing(lambda files: [files[0], *files]), "files are not those"),
    ("another order", listing(lambda files: files[::-1]), "files are not those"),
    ("another digest", listing(lambda files: [replace(files[0], digest="0" * 64), files[1]]), "files are not those"),
    ("an empty digest", listing(lambda files: [replace(files[0], digest=""), files[1]]), "'a' is not a SHA-256"),
    ("a short digest", listing(lambda files: [replace(files[0], digest="00"), files[1]]), "'a' is not a SHA-256"),
    ("capital digits", listing(lambda files: [replace(files[0], digest="A" * 64), files[1]]), "'a' is not a SHA-256"),
    ("another hash", listing(lambda files: [replace(files[0], algorithm="md5"), files[1]]), "'a' is not a SHA-256"),
    ("another root digest", about(digest=SubjectDigest(sha256="0" * 64)), "root digest"),
    ("another model", about(name="other"), "about another model"),
    ("another manifest", covering(manifest_sha256="0" * 64), "not the one that was signed"),
    ("another version", covering(metadata={"model_name": "resnet", "model_version": "2"}), "metadata"),
    ("another platform", covering(target_platform=TargetPlatform(os="LINUX", arch="X86")), "metadata"),
    ("another schema", covering(schema_version="2.0"), "of another version"),
    ("a local time", covering(signed_at="2026-03-01T12:00:30+00:00"), "signing time"),
    ("fractions of seconds", covering(signed_at="2026-03-01T12:00:30.0Z"), "signing time"),
    ("digits left out", covering(signed_at="2026-3-1T12:00:30Z"), "signing time"),
    ("another time", covering(signed_at="2026-03-01T12:00:31Z"), "tar entry is not in canonical form"),
    ("links followed", reading(allow_symlinks=True), "of another version"),
    ("files ignored", reading(ignore_paths=("a", "sagemaker_edge_manifest")), "of another version"),
    ("another statement type", lambda statement: replace(statement, type_="https://in-toto.io/Statement/v0.1"), "type"),
    ("another predicate", lambda statement: replace(statement, predicateType="https://slsa.dev/provenance/v1"), "type"),
]


@pytest.mark.parametrize(("change", "says"), [each[1:] for each in STATEMENTS], ids=[each[0] for each in STATEMENTS])
def test_a_statement_that_does_not_fit_is_refused(
    signer: FileSigner, trust: TrustRoots, change: Callable[[Statement], Statement], says: str
) -> None:
    found = verdict(signer, trust, Forgery(statement=change))
    assert not found.ok
    assert (found.identity, found.files) == (None, ())
    assert says in found.problems[0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"deflate_size": 1}, "compressed bytes"),
        ({"deflate_crc32": 1}, "compressed bytes"),
        ({"tar_size": 512}, "archive is not"),
        ({"tar_crc32": 1}, "archive is not"),
        ({"framing_sha256": "0" * 64}, "headers"),
    ],
)
def test_each_fact_about_the_rest_of_the_package_counts(
    signer: FileSigner, trust: TrustRoots, changes: dict[str, Any], says: str
) -> None:
    found = verdict(signer, trust, Forgery(statement=covering(**changes)))
    assert not found.ok
    assert len(found.problems) == 1
    assert says in found.problems[0]


@pytest.mark.parametrize(
    "files",
    [lambda files: files[:1], lambda files: files[::-1], lambda files: (files[0], replace(files[1], size=7))],
    ids=["a file less", "another order", "another size"],
)
def test_the_archive_must_have_the_signed_files(
    signer: FileSigner, trust: TrustRoots, files: Callable[[tuple[Any, ...]], tuple[Any, ...]]
) -> None:
    def lie(scan: ArchiveScan) -> ArchiveScan:
        return dataclasses.replace(scan, files=files(scan.files))

    found = verdict(signer, trust, Forgery(scan=lie))
    assert not found.ok
    assert "The archive's files are not those that were signed, in their order." in found.problems


def test_a_file_signed_twice_is_refused(signer: FileSigner, trust: TrustRoots) -> None:
    forgery = Forgery(scan=lambda scan: dataclasses.replace(scan, files=(*scan.files, scan.files[0])))
    assert verdict(signer, trust, forgery).problems == ("A file is signed twice.",)


# --- manifests

OTHER = "not the one that was signed"
MANIFESTS: list[tuple[str, Callable[[Manifest], Manifest], str]] = [
    ("another name", lambda it: replace(it, metadata=it.metadata | {"model_name": "other"}), OTHER),
    ("a text more", lambda it: replace(it, metadata=it.metadata | {"note": "x"}), "schema"),
    ("no name", lambda it: replace(it, metadata={}), "lacks the model's name"),
    ("a platform", lambda it: replace(it, target_platform=TargetPlatform(os="LINUX", arch="X86_64")), OTHER),
    ("another order", lambda it: replace(it, files=it.files[::-1]), OTHER),
    ("no files", lambda it: replace(it, files=()), OTHER),
    ("another size", lambda it: replace(it, files=(replace(it.files[0], size=0), it.files[1])), OTHER),
    ("no root", lambda it: replace(it, certificate_chain=it.certificate_chain[:1]), OTHER),
    ("no chain", lambda it: replace(it, certificate_chain=()), OTHER),
]


@pytest.mark.parametrize(("_name", "change", "says"), MANIFESTS, ids=[each[0] for each in MANIFESTS])
def test_a_manifest_altered_after_signing_is_refused(
    signer: FileSigner, trust: TrustRoots, _name: str, change: Callable[[Manifest], Manifest], says: str
) -> None:
    found = verdict(signer, trust, Forgery(manifest=change))
    assert says in " ".join(found.problems)
    assert found.identity is None


def test_the_signature_of_another_package_does_not_fit(signer: FileSigner, trust: TrustRoots) -> None:
    other, _ = framed(tar_gz({"a": b"other", "b": b"second"}), signer)
    bundle = decode_manifest(other.manifest_json).signature
    found = verdict(signer, trust, Forgery(manifest=lambda it: replace(it, signature=bundle)))
    assert found.problems == ("The manifest is not the one that was signed.",)


# --- the one spelling of a manifest


@pytest.fixture(scope="module")
def manifest(signer: FileSigner) -> bytes:
    return framed(ARCHIVE, signer)[0].manifest_json


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'{"certificate_chain"', b'{ "certificate_chain"', "canonical"),
        (b'"schema_version":"1.0"', b'"schema_version":"1.1"', "schema version '1.1'"),
        (b'"path":"a"', b'"path":"\\u0061"', "canonical"),
        (b'"size":5', b'"size":5.0', "canonical|schema"),
        (b'"size":5', b'"size":"5"', "schema"),
        (b'"size":5', b'"size":5,"mode":"x"', "schema"),
        (b'"schema_version":"1.0"', b'"more":1,"schema_version":"1.0"', "schema"),
        (b'"schema_version":"1.0",', b"", "schema"),
        (b'"schema_version":"1.0"', b'"schema_version":"1.0","schema_version":"1.0"', "canonical"),
        (b'"path":"a"', b'"path":"\xff"', "schema"),
    ],
)
def test_a_manifest_has_one_spelling(manifest: bytes, old: bytes, new: bytes, says: str) -> None:
    assert canonical_json(decode_manifest(manifest)) == manifest
    assert manifest.count(old) == 1
    with pytest.raises(errors.ManifestError, match=says):
        decode_manifest(manifest.replace(old, new))


@pytest.mark.parametrize("missing", ["model_name", "model_version"])
def test_a_package_without_a_name_is_refused_though_signed(signer: FileSigner, trust: TrustRoots, missing: str) -> None:
    def without(manifest: Manifest) -> Manifest:
        return replace(manifest, metadata={key: value for key, value in manifest.metadata.items() if key != missing})

    def sign_that(statement: Statement) -> Statement:
        body = without(decode_manifest(framed(ARCHIVE, signer)[0].manifest_json)).body()
        digest = sha256(canonical_json(replace(body, target_platform=None))).hexdigest()
        return covering(metadata=dict(body.metadata), manifest_sha256=digest)(statement)

    found = verdict(signer, trust, Forgery(statement=sign_that, manifest=without))
    assert found.problems == ("The manifest's metadata lacks the model's name or version.",)


@pytest.mark.parametrize("text", ["", "x" * 256, "a\nb", "\x7f", "a\0"])
@pytest.mark.parametrize("member", ["model_name", "model_version", "target_device", "compilation_job_name"])
def test_an_identity_that_cannot_stand_in_a_manifest_is_not_signed(signer: FileSigner, member: str, text: str) -> None:
    identity = replace(IDENTITY, **{member: text})
    with pytest.raises(errors.IdentityError, match=member):
        frame_package(scan_archive([ARCHIVE]), identity=identity, signer=signer, signed_at=NOW)


def test_a_deeply_nested_manifest_is_an_error_of_its_own() -> None:
    with pytest.raises(errors.ManifestError):
        decode_manifest(b'{"signature":' + b"[" * 1_000_000)
