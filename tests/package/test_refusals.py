"""What a verifier must refuse: any other byte, any other signer; and what a scan must refuse, by name."""

import datetime as dt
import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edgepack.errors import ArtifactError
from edgepack.keys.certificates import make_root_certificate, make_signing_certificate
from edgepack.keys.signing import (
    FileSigner,
    ensure_signing_keys,
    export_trust,
)
from edgepack.package import errors
from edgepack.package.assembly import frame_package
from edgepack.package.limits import ArchiveLimits
from edgepack.package.scan import Progress, scan_archive
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import Verdict, verify_package
from models import compiled_archive, tar_gz
from package.conftest import IDENTITY, NOW, Package

SMALL = {"a.txt": b"hello", "b.bin": bytes(range(200))}
DAY = dt.timedelta(days=1)


def test_every_altered_byte_is_refused(package: Package, trust: TrustRoots) -> None:
    packaged = package(tar_gz(SMALL))
    assert verify_package([packaged], trust=trust, now=NOW).ok
    for position in range(len(packaged)):
        altered = bytearray(packaged)
        altered[position] ^= 0x01
        assert not verify_package([bytes(altered)], trust=trust, now=NOW).ok, position


@pytest.mark.parametrize("tail", [b"\0", b"x", b"\x1f\x8b", gzip.compress(b"more", mtime=0)])
def test_nothing_may_follow(package: Package, trust: TrustRoots, tail: bytes) -> None:
    assert not verify_package([package(tar_gz(SMALL)) + tail], trust=trust, now=NOW).ok


def test_the_body_of_another_package_is_refused(package: Package, trust: TrustRoots) -> None:
    one, other = package(tar_gz(SMALL)), package(tar_gz(SMALL | {"a.txt": b"HELLO"}))
    scan_one, scan_other = scan_archive([tar_gz(SMALL)]), scan_archive([tar_gz(SMALL | {"a.txt": b"HELLO"})])
    grafted = one[: -8 - scan_one.deflate_size] + other[-8 - scan_other.deflate_size :]
    verdict = verify_package([grafted], trust=trust, now=NOW)
    assert not verdict.ok


def signed_by(signer: Any, at: dt.datetime = NOW) -> bytes:
    archive = tar_gz(SMALL)
    scan = scan_archive([archive])
    frame = frame_package(scan, identity=IDENTITY, signer=signer, signed_at=at)
    return frame.prefix + archive[scan.deflate_start : scan.deflate_end] + frame.trailer


def refused(package: bytes, trust: TrustRoots, now: dt.datetime = NOW) -> Verdict:
    verdict = verify_package([package], trust=trust, now=now)
    assert not verdict.ok
    assert verdict.identity is None
    assert verdict.files == ()
    return verdict


def test_another_root_is_not_trusted(package: Package, tmp_path: Path) -> None:
    ensure_signing_keys(tmp_path, now=NOW - DAY)
    other = TrustRoots.from_pem(export_trust(tmp_path))
    assert "trusted" in refused(package(tar_gz(SMALL)), other).problems[0]


def chain(
    *, root_now: dt.datetime = NOW - DAY, leaf_now: dt.datetime = NOW - DAY
) -> tuple[FileSigner, x509.Certificate, ec.EllipticCurvePrivateKey]:
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = make_root_certificate(root_key, now=root_now)
    leaf = make_signing_certificate(key.public_key(), root, root_key, now=leaf_now)
    return FileSigner(key, [leaf, root]), root, root_key


def test_a_certificate_must_have_been_valid_when_it_signed() -> None:
    signer, root, _ = chain(leaf_now=NOW - 3650 * DAY)
    trusted = TrustRoots((root,))
    assert "not valid when" in refused(signed_by(signer), trusted).problems[0]
    fresh, fresh_root, _ = chain()
    package = signed_by(fresh)
    much_later = NOW + 20 * 365 * DAY
    assert verify_package([package], trust=TrustRoots((fresh_root,)), now=much_later).ok


def test_a_signing_time_in_the_future_is_refused() -> None:
    signer, root, _ = chain()
    package = signed_by(signer, NOW)
    assert "future" in refused(package, TrustRoots((root,)), now=NOW - DAY / 2).problems[0]


def test_a_certificate_that_is_no_authority_cannot_issue() -> None:
    signer, root, _ = chain()
    forger_key = ec.generate_private_key(ec.SECP256R1())
    leaf = x509.load_der_x509_certificate(signer.certificate_chain[0])
    forged = make_signing_certificate(forger_key.public_key(), leaf, signer_key(signer), now=NOW - DAY)
    forger = FileSigner(forger_key, [forged, leaf, root])
    assert "may not issue" in refused(signed_by(forger), TrustRoots((root,))).problems[0]


def signer_key(signer: FileSigner) -> ec.EllipticCurvePrivateKey:
    key = signer._key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def test_a_root_does_not_sign_packages_itself() -> None:
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = make_root_certificate(root_key, now=NOW - DAY)
    assert "signing certificate" in refused(signed_by(FileSigner(root_key, [root])), TrustRoots((root,))).problems[0]


def test_a_chain_that_only_claims_to_lead_to_the_root() -> None:
    _, root, _ = chain()
    impostor, _, _ = chain()
    claimed = SimpleNamespace(
        certificate_chain=[impostor.certificate_chain[0], root.public_bytes(Encoding.DER)],
        public_key=impostor.public_key,
        sign=impostor.sign,
    )
    assert "broken" in refused(signed_by(claimed), TrustRoots((root,))).problems[0]


def test_a_bare_key_is_trusted_by_name_only() -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    package = signed_by(FileSigner(key, []))

    def trusting(each: ec.EllipticCurvePrivateKey) -> TrustRoots:
        return TrustRoots.from_pem(each.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    assert verify_package([package], trust=trusting(key), now=NOW).ok
    refused(package, trusting(other))
    _, root, _ = chain()
    refused(package, TrustRoots((root,)))


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_cannot_be_trusted_is_said(pem: bytes) -> None:
    with pytest.raises(errors.TrustError):
        TrustRoots.from_pem(pem)


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def file(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


HOSTILE: list[tuple[str, Callable[[], bytes], type[ArtifactError], str]] = [
    ("not gzip", lambda: b"PK\x03\x04" * 10, errors.NotGzipError, "not a gzip"),
    ("no bytes", lambda: b"", errors.EmptyArchiveError, "empty"),
    ("not tar", lambda: gzip.compress(b"text" * 400, mtime=0), errors.NotTarError, "tar"),
    ("no file", lambda: tar_gz({}), errors.EmptyArchiveError, "no file"),
    ("cut in deflate", lambda: compiled_archive()[:-200], errors.TruncatedError, "ends"),
    ("cut in trailer", lambda: compiled_archive()[:-3], errors.TruncatedError, "ends"),
    ("wrong CRC", lambda: compiled_archive()[:-8] + b"\0" * 8, errors.ChecksumError, "trailer"),
    ("something behind", lambda: compiled_archive() + b"tail", errors.TrailingDataError, "follows"),
    ("parent folder", lambda: tar_of(file("../evil")), errors.UnsafeMemberError, "../evil"),
    ("hidden parent", lambda: tar_of(file("a/../../evil")), errors.UnsafeMemberError, "evil"),
    ("absolute", lambda: tar_of(file("/etc/passwd")), errors.UnsafeMemberError, "/etc/passwd"),
    ("symbolic link", lambda: tar_of(special("out", tarfile.SYMTYPE, "../../x")), errors.UnsupportedMemberError, "out"),
    ("hard link", lambda: tar_of(file("a"), special("b", tarfile.LNKTYPE, "a")), errors.UnsupportedMemberError, "'b'"),
    ("device", lambda: tar_of(special("null", tarfile.CHRTYPE)), errors.UnsupportedMemberError, "null"),
    ("pipe", lambda: tar_of(special("pipe", tarfile.FIFOTYPE)), errors.UnsupportedMemberError, "pipe"),
    ("twice", lambda: tar_of(file("twin"), file("twin")), errors.DuplicateMemberError, "twin"),
    ("twice by dot", lambda: tar_of(file("twin"), file("./twin")), errors.DuplicateMemberError, "twin"),
    ("twice by case", lambda: tar_of(file("twin"), file("TWIN")), errors.DuplicateMemberError, "twin"),
    ("twice by form", lambda: tar_of(file("\u00e9"), file("e\u0301")), errors.DuplicateMemberError, "one file"),
    ("file as folder", lambda: tar_of(file("a"), file("a/b")), ArtifactError, "a"),
    (
        "foreign manifest",
        lambda: tar_of(file("sagemaker_edge_manifest")),
        errors.ForeignManifestError,
        "sagemaker_edge_manifest",
    ),
]


@pytest.mark.parametrize(("make", "error", "says"), [each[1:] for each in HOSTILE], ids=[each[0] for each in HOSTILE])
def test_a_hostile_archive_is_refused_by_its_own_name(
    make: Callable[[], bytes], error: type[ArtifactError], says: str
) -> None:
    with pytest.raises(error) as caught:
        scan_archive([make()])
    assert says in caught.value.message
    assert caught.value.advice


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (ArchiveLimits(tar_size=50_000), "more than 50000 bytes"),
        (ArchiveLimits(ratio=5, ratio_free_size=10_000), "decompression bomb"),
        (ArchiveLimits(members=2), "more than 2 members"),
        (ArchiveLimits(names_size=5), "names"),
    ],
)
def test_bounds_are_kept(limits: ArchiveLimits, says: str) -> None:
    archive = tar_gz({"zeros": bytes(1 << 20), "second": b"x", "third": b"y"})
    with pytest.raises(errors.ArchiveTooLargeError, match=says):
        scan_archive([archive], limits=limits)


def test_an_observer_can_stop_the_scan() -> None:
    class StopError(Exception):
        pass

    def observe(_progress: Progress) -> None:
        raise StopError

    with pytest.raises(StopError):
        scan_archive([compiled_archive()], observe=observe)


def test_an_error_of_the_source_comes_out() -> None:
    def broken() -> Any:
        yield compiled_archive()[:500]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        scan_archive(broken())
