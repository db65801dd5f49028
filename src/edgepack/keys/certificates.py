"""The two certificates of an edgepack: profile in docs/package-format.md, "Certificates" (RFC 5280)."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT_VALIDITY = timedelta(days=20 * 365)
SIGNING_VALIDITY = timedelta(days=10 * 365)
"""Devices live long and have no way to be told of a new root; the signing certificate ends well before its root."""

BACKDATING = timedelta(minutes=5)
"""Certificates are valid from a little before they are made: clocks of other machines may be behind."""

SIGNING_EXTENSIONS = {
    "basic constraints": x509.BasicConstraints.oid,
    "key usage": x509.KeyUsage.oid,
    "extended key usage": x509.ExtendedKeyUsage.oid,
}
"""What a verifier looks for in a signing certificate, as a person may be told."""


def make_root_certificate(key: ec.EllipticCurvePrivateKey, *, now: datetime) -> x509.Certificate:
    """A self-signed CA certificate that may certify signing certificates and nothing below them."""
    name = _name("edgepack root")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _builder(name, name, key.public_key(), now, ROOT_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def make_signing_certificate(
    public_key: ec.EllipticCurvePublicKey,
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    *,
    now: datetime,
) -> x509.Certificate:
    """A certificate that may sign packages (key usage digitalSignature, extended key usage codeSigning)."""
    root_identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _builder(_name("edgepack signing"), root.subject, public_key, now, SIGNING_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_identifier), critical=False)
        .sign(root_key, hashes.SHA256())
    )


def missing_extensions(certificate: x509.Certificate) -> list[str]:
    """The names of extensions that a signing certificate needs and this one has not.

    Raises:
        ValueError: The certificate is damaged.
        DuplicateExtension: It has one of them twice.
    """
    there = {extension.oid for extension in certificate.extensions}
    return [name for name, oid in SIGNING_EXTENSIONS.items() if oid not in there]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, validity: timedelta
) -> x509.CertificateBuilder:
    start = (now - BACKDATING).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + validity)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "edgepack"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
