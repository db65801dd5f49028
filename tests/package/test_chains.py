"""Chains of certificates: every link of them, every way to a trusted one, and how strong their keys are."""

import base64
import datetime as dt
import warnings
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edgepack.keys.signing import FileSigner
from edgepack.package import errors
from edgepack.package.signature import Signer
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from models import tar_gz
from package.conftest import NOW
from package.making import DAY, NO_AUTHORITY, SIGNS, Extension, Holder, authority, holder, package_of, usage

ARCHIVE = tar_gz({"model.bin": b"0123456789"})


def showing(signing: Holder, *certificates: x509.Certificate) -> Signer:
    """A signer that shows whatever certificates behind its own."""
    honest = FileSigner(signing.key)
    chain = [each.public_bytes(Encoding.DER) for each in (signing.certificate, *certificates)]
    return SimpleNamespace(certificate_chain=chain, public_key=honest.public_key, sign=honest.sign)


def problems(signer: Signer, *trusted: x509.Certificate) -> tuple[str, ...]:
    return verify_package([package_of(ARCHIVE, signer)], trust=TrustRoots(trusted), now=NOW).problems


@pytest.fixture(scope="module")
def root() -> Holder:
    """A root that may have any number of authorities under it."""
    return holder("root", *authority())


# --- links


def test_certificates_behind_the_trusted_one_belong_to_the_chain(root: Holder) -> None:
    between = root.issue("between", *authority(0))
    leaf, stranger = between.issue("leaf", *SIGNS), holder("stranger", *authority())
    others = (stranger.certificate, stranger.issue("other", *SIGNS).certificate)
    assert problems(showing(leaf, between.certificate, root.certificate), between.certificate) == ()
    for behind in ((root.certificate, *others), others, (root.certificate, stranger.certificate)):
        found = problems(showing(leaf, between.certificate, *behind), between.certificate)
        assert found == ("The certificate chain is broken: one was not issued by the next.",)


def test_the_chain_of_a_trusted_key_is_a_chain_too(root: Holder) -> None:
    leaf, stranger = root.issue("leaf", *SIGNS), holder("stranger", *authority())
    trust = TrustRoots.from_pem(leaf.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for above, ok in ((root, True), (stranger, False)):
        package = package_of(ARCHIVE, showing(leaf, above.certificate))
        assert verify_package([package], trust=trust, now=NOW).ok is ok


def test_of_the_chain_of_a_trusted_key_nothing_else_is_looked_at(root: Holder) -> None:
    """The key is trusted by itself, whatever certificates say of it, and for how long."""
    expired = again(root.issue("leaf", NO_AUTHORITY, usage()), root, until=NOW - DAY / 2)
    trust = TrustRoots.from_pem(expired.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert verify_package([package_of(ARCHIVE, showing(expired, root.certificate))], trust=trust, now=NOW).ok


# --- ways


def again(old: Holder, issuer: Holder, *, until: dt.datetime) -> Holder:
    """The same key under the same name, for another time."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.certificate.subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(old.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(until)
    )
    for extension in old.certificate.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return Holder(old.key, builder.sign(issuer.key, hashes.SHA256()))


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("shows_root", ["none", "expired", "renewed"])
def test_a_root_and_its_renewal_may_both_be_trusted(shows_root: str, *, newest_first: bool) -> None:
    renewed = holder("root", *authority(0))
    expired = again(renewed, renewed, until=NOW - DAY / 2)
    leaf = renewed.issue("leaf", *SIGNS)
    shown = {"none": (), "expired": (expired.certificate,), "renewed": (renewed.certificate,)}[shows_root]
    trusted = [expired.certificate, renewed.certificate]
    assert problems(showing(leaf, *shown), *sorted(trusted, key=trusted.index, reverse=newest_first)) == ()
    assert problems(showing(leaf, *shown), renewed.certificate) == ()
    found = problems(showing(leaf, *shown), expired.certificate)
    assert found[0].startswith("The certificate CN=root was not valid when the package was signed")


def test_path_lengths_count_from_every_authority() -> None:
    root = holder("root", *authority(2))
    upper = root.issue("upper", *authority(1))
    lower = upper.issue("lower", *authority(0))
    leaf = lower.issue("leaf", *SIGNS)
    chain = [each.certificate for each in (lower, upper, root)]
    for trusted in chain:
        assert problems(showing(leaf, *chain), trusted) == ()
    deepest = lower.issue("deepest", *authority(0))
    too_deep = deepest.issue("leaf", *SIGNS)
    chain = [each.certificate for each in (deepest, lower, upper, root)]
    assert problems(showing(too_deep, *chain), chain[0]) == ()
    for trusted in chain[1:]:
        assert problems(showing(too_deep, *chain), trusted) == (
            "The certificate chain has a certificate that may not issue others.",
        )


# --- strength


def under(key: CertificateIssuerPrivateKeyTypes) -> tuple[Holder, x509.Certificate]:
    """A signing certificate under a root with some key, and the root."""
    hashed = None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()
    root_name, name = (x509.Name.from_rfc4514_string(f"CN={each}") for each in ("strange root", "leaf"))
    leaf_key = ec.generate_private_key(ec.SECP256R1())

    def certified(subject: x509.Name, public: object, extensions: tuple[Extension, ...]) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(public)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(key, hashed)

    leaf = Holder(leaf_key, certified(name, leaf_key.public_key(), SIGNS))
    return leaf, certified(root_name, key.public_key(), authority(0))


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
    ],
    ids=["RSA of 2048 bits", "P-384", "Ed25519", "Ed448"],
)
def test_an_authority_may_have_any_strong_key(key: CertificateIssuerPrivateKeyTypes) -> None:
    leaf, root = under(key)
    assert problems(showing(leaf, root), root) == ()


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP224R1()),
        dsa.generate_private_key(2048),
    ],
    ids=["RSA of 1024 bits", "P-224", "DSA"],
)
def test_weak_keys_vouch_for_nobody(key: CertificateIssuerPrivateKeyTypes) -> None:
    leaf, root = under(key)
    (problem,) = problems(showing(leaf, root), root)
    assert problem.startswith("The certificate CN=strange root has a weak key")


# --- serial numbers


def below_zero(certificate: x509.Certificate) -> bytes:
    """The certificate with a serial number that is negative, and a signature that is wrong for it."""
    der = certificate.public_bytes(Encoding.DER)
    start = der.index(VERSION_3) + len(VERSION_3) + 2
    return der[:start] + b"\x81" + der[start + 1 :]


VERSION_3 = b"\xa0\x03\x02\x01\x02"
"""In front of a certificate's serial number."""


def test_a_serial_number_that_is_not_positive_is_damage_and_no_warning(root: Holder) -> None:
    leaf = root.issue("leaf", *SIGNS)
    damaged = [below_zero(leaf.certificate), root.certificate.public_bytes(Encoding.DER)]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(errors.SignatureError, match="has a damaged certificate"):
            TrustRoots((root.certificate,)).check_signer(damaged, hint=None, signed_at=NOW, now=NOW)
        with pytest.raises(errors.TrustError, match="is damaged"):
            TrustRoots.from_pem(as_pem(damaged[0]))
    assert warned == []


def as_pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
