"""Who may have signed a package: certificate profiles, chains, keys, and damaged certificates."""

import base64
import datetime as dt
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from edgepack.errors import ArtifactError
from edgepack.keys.signing import FileSigner
from edgepack.package import errors
from edgepack.package.bundle import open_bundle
from edgepack.package.canonical import canonical_json
from edgepack.package.limits import CERTIFICATES_MAX
from edgepack.package.manifest import Manifest
from edgepack.package.signature import P256_ORDER, Signer, pem_chain
from edgepack.package.trust import CLOCK_SKEW, TrustRoots
from edgepack.package.verification import Verdict, verify_package
from models import tar_gz
from package.conftest import NOW
from package.making import (
    CODE_SIGNING,
    NO_AUTHORITY,
    SIGNS,
    Extension,
    Forgery,
    Holder,
    authority,
    forged,
    framed,
    holder,
    package_of,
    usage,
)

ARCHIVE = tar_gz({"model.bin": b"0123456789"})


def pem(*holders: Holder) -> bytes:
    return b"".join(each.certificate.public_bytes(Encoding.PEM) for each in holders)


def trusting(*holders: Holder) -> TrustRoots:
    return TrustRoots.from_pem(pem(*holders))


def key_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def verdict(signer: Signer, trust: TrustRoots, now: dt.datetime = NOW) -> Verdict:
    return verify_package([package_of(ARCHIVE, signer)], trust=trust, now=now)


def problem(signer: Signer, trust: TrustRoots) -> str:
    """Why the package is refused; it is the signer's fault, so nothing of its content is told."""
    found = verdict(signer, trust)
    assert not found.ok
    assert (found.identity, found.signer, found.signed_at, found.files) == (None, None, None, ())
    assert len(found.problems) == 1
    return found.problems[0]


@pytest.fixture(scope="module")
def root() -> Holder:
    """A root that may have any number of authorities under it."""
    return holder("root", *authority())


# --- chains


def test_a_chain_may_go_through_an_authority_between(root: Holder) -> None:
    between = root.issue("between", *authority(0))
    leaf = between.issue("leaf", *SIGNS)
    assert verdict(leaf.signer(between, root), trusting(root)).ok
    assert verdict(leaf.signer(between, root), trusting(between)).ok


def test_the_certificates_of_the_bundle_are_no_trust(root: Holder) -> None:
    leaf = root.issue("leaf", *SIGNS)
    assert "do not lead to a trusted one" in problem(leaf.signer(root), TrustRoots())
    assert "do not lead to a trusted one" in problem(leaf.signer(root), trusting(holder("root", *authority())))


def test_the_signing_certificate_itself_may_be_trusted(root: Holder) -> None:
    leaf = root.issue("leaf", *SIGNS)
    assert verdict(leaf.signer(root), trusting(leaf)).ok


def test_one_of_several_roots_is_enough(root: Holder) -> None:
    leaf = root.issue("leaf", *SIGNS)
    assert verdict(leaf.signer(root), trusting(holder("old", *authority()), root)).ok


def test_a_root_that_allows_no_authority_below(root: Holder) -> None:
    strict = holder("strict", *authority(0))
    between = strict.issue("between", *authority())
    leaf = between.issue("leaf", *SIGNS)
    assert "may not issue" in problem(leaf.signer(between, strict), trusting(strict))


@pytest.mark.parametrize(
    "extensions",
    [
        (),
        (NO_AUTHORITY, usage(signs=True)),
        (NO_AUTHORITY, CODE_SIGNING),
        (NO_AUTHORITY, usage(certifies=True), CODE_SIGNING),
        (usage(signs=True), CODE_SIGNING),
        (*authority(), CODE_SIGNING),
        (authority()[0], usage(signs=True, certifies=True), CODE_SIGNING),
        (NO_AUTHORITY, usage(signs=True), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), True)),
    ],
    ids=[
        "nothing",
        "no purpose",
        "no usage",
        "wrong usage",
        "no constraints",
        "authority",
        "authority that signs",
        "web server",
    ],
)
def test_a_certificate_for_something_else_does_not_sign_packages(root: Holder, extensions: tuple[Extension]) -> None:
    assert "signing certificate" in problem(root.issue("leaf", *extensions).signer(root), trusting(root))


@pytest.mark.parametrize("extensions", [(), (NO_AUTHORITY, usage(certifies=True)), (authority()[0], usage(signs=True))])
def test_who_is_no_authority_does_not_issue(root: Holder, extensions: tuple[Extension]) -> None:
    between = root.issue("between", *extensions)
    leaf = between.issue("leaf", *SIGNS)
    assert "chain" in problem(leaf.signer(between, root), trusting(root))


@pytest.mark.parametrize("place", ["leaf", "root"])
def test_what_is_critical_and_unknown_is_not_passed_over(root: Holder, place: str) -> None:
    unknown = (x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00"), True)
    top = holder("top", *authority(), unknown) if place == "root" else root
    leaf = top.issue("leaf", *SIGNS, *([unknown] if place == "leaf" else []))
    assert "unknown critical extension, 1.3.6.1.4.1.55555.1" in problem(leaf.signer(top), trusting(top))


def test_a_chain_without_end_is_not_walked(root: Holder) -> None:
    leaf = root.issue("leaf", *SIGNS)
    long = SimpleNamespace(
        certificate_chain=[*leaf.signer(root).certificate_chain] * CERTIFICATES_MAX,
        public_key=leaf.signer(root).public_key,
        sign=leaf.signer(root).sign,
    )
    assert "length <= 8" in problem(long, trusting(root))


@pytest.mark.parametrize(("days", "ok"), [(-2, False), (0, True), (2, False)])
def test_the_certificate_must_be_valid_at_signing_whenever_that_is_checked(
    root: Holder, days: int, *, ok: bool
) -> None:
    leaf = root.issue("leaf", *SIGNS)
    frame, deflate = framed(ARCHIVE, leaf.signer(root), signed_at=NOW + dt.timedelta(days=days))
    much_later = NOW + dt.timedelta(days=9999)
    found = verify_package([frame.prefix, deflate, frame.trailer], trust=trusting(root), now=much_later)
    assert found.ok is ok
    assert ok or "not valid when the package was signed" in found.problems[0]


@pytest.mark.parametrize(("days", "seconds", "ok"), [(-1, 0, True), (-1, -1, False), (1, 0, True), (1, 1, False)])
def test_the_first_and_the_last_second_of_a_certificate_count(
    root: Holder, days: int, seconds: int, *, ok: bool
) -> None:
    leaf = root.issue("leaf", *SIGNS)
    certificate = leaf.certificate
    end = certificate.not_valid_before_utc if days < 0 else certificate.not_valid_after_utc
    trusted, signed_at = trusting(root), end + dt.timedelta(seconds=seconds)
    chain = leaf.signer(root).certificate_chain
    if ok:
        trusted.check_signer(chain, hint=None, signed_at=signed_at, now=NOW + dt.timedelta(days=9))
    else:
        with pytest.raises(errors.UntrustedSignerError, match="not valid when"):
            trusted.check_signer(chain, hint=None, signed_at=signed_at, now=NOW + dt.timedelta(days=9))


def test_clocks_may_differ_a_little(root: Holder) -> None:
    signer = root.issue("leaf", *SIGNS).signer(root)
    assert verdict(signer, trusting(root), now=NOW - CLOCK_SKEW).ok
    assert not verdict(signer, trusting(root), now=NOW - CLOCK_SKEW - dt.timedelta(seconds=1)).ok


# --- bare keys


def test_a_trusted_key_may_sign_with_or_without_certificate(root: Holder) -> None:
    leaf = root.issue("leaf", *SIGNS)
    trust = TrustRoots.from_pem(key_pem(leaf.key))
    assert verdict(FileSigner(leaf.key), trust).ok
    assert verdict(leaf.signer(root), trust).ok
    assert "do not lead" in problem(root.issue("other", *SIGNS).signer(root), trust)


def test_certificates_and_keys_may_stand_in_one_file(root: Holder) -> None:
    leaf, key = root.issue("leaf", *SIGNS), ec.generate_private_key(ec.SECP256R1())
    trust = TrustRoots.from_pem(b"a comment\n" + key_pem(key) + pem(root) + key_pem(leaf.key))
    assert len(trust.certificates) == 1
    assert len(trust.keys) == 2
    assert verdict(FileSigner(key), trust).ok


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())])
def test_keys_of_other_kinds_are_not_taken(key: ed25519.Ed25519PrivateKey) -> None:
    with pytest.raises(errors.TrustError, match="P-256"):
        TrustRoots.from_pem(key_pem(key))


def test_a_private_key_is_not_what_is_asked_for() -> None:
    with pytest.raises(errors.TrustError, match="neither"):
        TrustRoots.from_pem(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


# --- signatures


def test_the_signer_must_hold_the_key(root: Holder) -> None:
    """Certificates are public: whoever shows one must also have signed with its key."""
    leaf, thief = root.issue("leaf", *SIGNS), FileSigner(ec.generate_private_key(ec.SECP256R1()))
    pretender = SimpleNamespace(
        certificate_chain=leaf.signer(root).certificate_chain, public_key=thief.public_key, sign=thief.sign
    )
    assert problem(pretender, trusting(root)) == "The signature is not the signer's."


def test_the_other_form_of_a_signature_is_never_made_and_never_read(root: Holder) -> None:
    signer = root.issue("leaf", *SIGNS).signer(root)

    def high(message: bytes) -> bytes:
        r, s = decode_dss_signature(signer.sign(message))
        return encode_dss_signature(r, max(s, P256_ORDER - s))

    malleable = SimpleNamespace(certificate_chain=signer.certificate_chain, public_key=signer.public_key, sign=high)
    frame, _ = framed(ARCHIVE, malleable)
    opened = open_bundle(frame.signature_bundle.encode())
    r, s = decode_dss_signature(opened.signature)
    assert s <= P256_ORDER // 2
    other = msgspec.json.decode(frame.signature_bundle)
    other["dsseEnvelope"]["signatures"][0]["sig"] = encode_dss_signature(r, P256_ORDER - s)
    with pytest.raises(errors.SignatureError, match="canonical DER"):
        open_bundle(msgspec.json.encode(other, order="deterministic"))


Change = Callable[[dict[str, Any]], object]


def signature_of(r: int, s: int) -> str:
    return base64.b64encode(encode_dss_signature(r, s)).decode()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: it["verificationMaterial"].update(publicKey={"hint": "0" * 64}), "either"),
        (lambda it: it["verificationMaterial"].pop("x509CertificateChain"), "either"),
        (lambda it: it["verificationMaterial"]["x509CertificateChain"].update(certificates=[]), "chain is empty"),
        (lambda it: it["verificationMaterial"].update(tlogEntries=[{}]), "schema"),
        (lambda it: it["dsseEnvelope"].update(payloadType="text/plain"), "another type"),
        (lambda it: it.update(mediaType="application/vnd.dev.sigstore.bundle.v0.2+json"), "another type"),
        (lambda it: it["dsseEnvelope"].update(signatures=[]), "schema"),
        (lambda it: it["dsseEnvelope"]["signatures"].append(it["dsseEnvelope"]["signatures"][0]), "schema"),
        (lambda it: it["dsseEnvelope"]["signatures"][0].update(keyid="x"), "schema"),
        (
            lambda it: it["dsseEnvelope"]["signatures"][0].update(sig="AAA"),
            "does not follow its schema: Invalid base64",
        ),
        (
            lambda it: it["dsseEnvelope"]["signatures"][0].update(sig="AA\n=="),
            "does not follow its schema: Invalid base64",
        ),
        (lambda it: it["dsseEnvelope"]["signatures"][0].update(sig="AB=="), "not in canonical form"),
        (lambda it: it["dsseEnvelope"]["signatures"][0].update(sig=""), "canonical DER"),
        (lambda it: it["dsseEnvelope"]["signatures"][0].update(sig=signature_of(5, P256_ORDER + 1)), "canonical DER"),
        (lambda it: it["dsseEnvelope"]["signatures"][0].update(sig=signature_of(P256_ORDER, 5)), "canonical DER"),
        (lambda it: it["dsseEnvelope"]["signatures"][0].update(sig=signature_of(0, 5)), "canonical DER"),
        (
            lambda it: it["verificationMaterial"]["x509CertificateChain"].update(
                certificates=[{"rawBytes": ""}] * (CERTIFICATES_MAX + 1)
            ),
            "schema",
        ),
        (
            lambda it: it["verificationMaterial"]["x509CertificateChain"].update(
                certificates=[{"rawBytes": ""}] * 100_000
            ),
            "more than 1048576 bytes",
        ),
        (
            lambda it: it["verificationMaterial"]["x509CertificateChain"]["certificates"][0].update(more=1),
            "certificate chain does not follow its schema",
        ),
        (lambda it: it["dsseEnvelope"].update(payload="e30="), "signed statement does not follow"),
        (lambda it: it["dsseEnvelope"].update(payload=""), "signed statement does not follow"),
        (lambda it: it.update(more=1), "schema"),
    ],
)
def test_a_bundle_has_one_form(signer: FileSigner, change: Change, says: str) -> None:
    frame, _ = framed(ARCHIVE, signer)
    bundle = msgspec.json.decode(frame.signature_bundle)
    assert msgspec.json.encode(bundle, order="deterministic").decode() == frame.signature_bundle
    change(bundle)
    with pytest.raises(errors.SignatureError, match=says):
        open_bundle(msgspec.json.encode(bundle, order="deterministic"))


@pytest.mark.parametrize("returned", [b"", b"nonsense", bytes(70)])
def test_a_signer_that_does_not_work_signs_nothing(root: Holder, returned: bytes) -> None:
    broken = SimpleNamespace(
        certificate_chain=(), public_key=FileSigner(root.key).public_key, sign=lambda _message: returned
    )
    with pytest.raises(errors.SigningError):
        framed(ARCHIVE, broken)


def test_a_signer_with_another_key_signs_nothing(root: Holder) -> None:
    mixed = SimpleNamespace(
        certificate_chain=(),
        public_key=FileSigner(root.key).public_key,
        sign=FileSigner(ec.generate_private_key(ec.SECP256R1())).sign,
    )
    with pytest.raises(errors.SigningError, match="does not verify"):
        framed(ARCHIVE, mixed)


# --- damaged certificates


def test_a_damaged_certificate_is_an_error_of_the_package(signer: FileSigner, trust: TrustRoots) -> None:
    """Parsers of certificates fail in many ways; each must come out as a refusal, and none as something else.

    They pass over a wrong count of unused bits behind the certificate's signature. The signed manifest does not.
    """
    frame, _ = framed(ARCHIVE, signer)
    opened = open_bundle(frame.signature_bundle.encode())
    leaf, above = opened.certificates
    passed_over = set()
    for position in range(len(leaf)):
        for flipped in (0x01, 0x10, 0xFF):
            damaged = bytearray(leaf)
            damaged[position] ^= flipped
            try:
                trust.check(msgspec.structs.replace(opened, certificates=(bytes(damaged), above)), now=NOW)
            except ArtifactError:
                continue
            passed_over.add(position)
    assert passed_over <= {unused_bits(x509.load_der_x509_certificate(leaf))}
    assert trust.check(opened, now=NOW)


def test_a_trusted_certificate_of_an_unknown_version_is_told(root: Holder) -> None:
    der = root.certificate.public_bytes(Encoding.DER)
    of_version_2 = base64.encodebytes(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1))
    with pytest.raises(errors.TrustError, match="is damaged"):
        TrustRoots.from_pem(b"-----BEGIN CERTIFICATE-----\n" + of_version_2 + b"-----END CERTIFICATE-----\n")


def unused_bits(certificate: x509.Certificate) -> int:
    """Where the certificate says how many bits behind its signature count for nothing: none."""
    return len(certificate.public_bytes(Encoding.DER)) - len(certificate.signature) - 1


def test_a_certificate_that_only_seems_the_same_is_refused(root: Holder) -> None:
    """Swapped in both places, bundle and manifest, and still issued by the root as its parser sees it."""
    leaf = root.issue("leaf", *SIGNS)
    while leaf.certificate.signature[-1] & 1:
        leaf = root.issue("leaf", *SIGNS)
    signer = leaf.signer(root)
    der, above = signer.certificate_chain
    bits = unused_bits(leaf.certificate)
    altered = (der[:bits] + b"\x01" + der[bits + 1 :], above)

    def swap(manifest: Manifest) -> Manifest:
        bundle = msgspec.json.decode(manifest.signature)
        chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
        for certificate, der in zip(chain, altered, strict=True):
            certificate["rawBytes"] = base64.b64encode(der).decode()
        return msgspec.structs.replace(
            manifest, signature=msgspec.Raw(canonical_json(bundle)), certificate_chain=pem_chain(altered)
        )

    package = forged(ARCHIVE, signer, Forgery(manifest=swap))
    assert verify_package([package], trust=trusting(root), now=NOW).problems == (
        "The manifest is not the one that was signed.",
    )


def test_another_certificate_of_the_same_key_is_not_the_signer_s(root: Holder) -> None:
    """In the bundle alone, which no signature covers: the manifest's chain is what was signed."""
    leaf = root.issue("leaf", *SIGNS)
    other = x509.load_der_x509_certificate(_reissued(root, leaf))

    def swap(manifest: Manifest) -> Manifest:
        bundle = msgspec.json.decode(manifest.signature)
        chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
        chain[0]["rawBytes"] = base64.b64encode(other.public_bytes(Encoding.DER)).decode()
        return msgspec.structs.replace(manifest, signature=msgspec.Raw(canonical_json(bundle)))

    package = forged(ARCHIVE, leaf.signer(root), Forgery(manifest=swap))
    assert verify_package([package], trust=trusting(root), now=NOW).problems == (
        "The manifest's certificate chain is not the signature's.",
    )


def _reissued(root: Holder, leaf: Holder) -> bytes:
    """A second certificate for the same key, by the same root."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name.from_rfc4514_string("CN=somebody else"))
        .issuer_name(root.certificate.subject)
        .public_key(leaf.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(leaf.certificate.not_valid_before_utc)
        .not_valid_after(leaf.certificate.not_valid_after_utc)
    )
    for extension in leaf.certificate.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(root.key, hashes.SHA256()).public_bytes(Encoding.DER)
