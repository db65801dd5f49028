"""What certificates must be to sign packages, or to vouch for who does: docs/package-format.md, "Certificates".

None of this is trust: that a path of certificates leads to a trusted one is looked at in `edgepack.package.trust`.
"""

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from edgepack.package.errors import SignatureError, UntrustedSignerError

RSA_BITS_MIN = 2048
"""Bits of an authority's RSA key at least: 112 bits of strength, the least that NIST SP 800-57 part 1 allows."""

CURVE_BITS_MIN = 256
"""Bits of an authority's elliptic curve at least: no chain is stronger than the signing key's, which is P-256."""

UNDERSTOOD_EXTENSIONS = frozenset((x509.BasicConstraints.oid, x509.KeyUsage.oid, x509.ExtendedKeyUsage.oid))
"""Critical extensions that are looked at; a certificate with another critical one is not relied on (RFC 5280, 4.2)."""

DAMAGE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension)
"""What reading a damaged certificate raises."""

_warnings_lock = threading.RLock()
"""Filters of warnings belong to the process, and threads that change them at once would leave them changed."""


@contextmanager
def no_warnings() -> Iterator[None]:
    """Keep to itself what the parser of certificates thinks of them: whatever matters is looked at here."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def damage_refused() -> Iterator[None]:
    """Turn whatever reading a damaged certificate raises into one refusal; much of one is only read when it is asked.

    Raises:
        SignatureError: A certificate is damaged.
    """
    try:
        with no_warnings():
            yield
    except DAMAGE:
        raise SignatureError("The certificate chain has a damaged certificate.") from None


def load_chain(certificates: Sequence[bytes]) -> list[x509.Certificate]:
    """Certificates from their DER form; which of their fields are readable shows when they are read.

    Raises:
        SignatureError: One is of an unknown version.
        ValueError: One is damaged; what else a damaged one raises, here and later, `damage_refused` takes.
    """
    try:
        chain = [x509.load_der_x509_certificate(der) for der in certificates]
    except x509.InvalidVersion:
        raise SignatureError("The certificate chain has a certificate of an unknown version.") from None
    check_serial_numbers(chain)
    return chain


def check_serial_numbers(certificates: Sequence[x509.Certificate]) -> None:
    """Whether all serial numbers are positive, as RFC 5280, 4.1.2.2 wants them.

    Raises:
        ValueError: One is not.
    """
    if any(certificate.serial_number <= 0 for certificate in certificates):
        raise ValueError("A serial number is not positive.")


def check_links(chain: Sequence[x509.Certificate]) -> None:
    """Whether each certificate is issued by the next.

    Raises:
        UntrustedSignerError: One is not.
    """
    if not all(is_issued_by(certificate, issuer) for certificate, issuer in pairwise(chain)):
        raise UntrustedSignerError("The certificate chain is broken: one was not issued by the next.")


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's name is in the certificate, and its key has signed it; no matter what it may do."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False
    return True


def check_signing_certificate(certificate: x509.Certificate) -> None:
    """Whether it is an end entity that may sign, and may sign code.

    Raises:
        UntrustedSignerError: It is not.
    """
    try:
        extensions = certificate.extensions
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        is_authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound as error:
        raise UntrustedSignerError(f"The signing certificate lacks what its profile asks for: {error}.") from None
    if is_authority or not usage.digital_signature or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise UntrustedSignerError("The signing certificate is not one for signing packages.")


def check_path(path: Sequence[x509.Certificate], signed_at: datetime) -> None:
    """Whether a path of certificates, each issued by the next, fits the profile and was valid.

    Args:
        path: The signing certificate first, the trusted one last; they may be the same.
        signed_at: When the package was signed, aware.

    Raises:
        UntrustedSignerError: Some certificate does not fit.
    """
    for position, certificate in enumerate(path):
        _check_certificate(certificate, signed_at)
        if position:
            _check_authority(certificate, below=position - 1)


def _check_authority(certificate: x509.Certificate, *, below: int) -> None:
    """Whether it may have issued a certificate with `below` others under that."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        may_certify = certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        raise UntrustedSignerError(
            "The certificate chain has a certificate without the extensions of an issuer."
        ) from None
    too_long = constraints.path_length is not None and constraints.path_length < below
    if not constraints.ca or not may_certify or too_long:
        raise UntrustedSignerError("The certificate chain has a certificate that may not issue others.")
    if not _is_strong(certificate):
        raise UntrustedSignerError(
            f"The certificate {certificate.subject.rfc4514_string()} has a weak key: RSA of {RSA_BITS_MIN} bits or "
            f"more, elliptic curves of {CURVE_BITS_MIN} bits or more, Ed25519 and Ed448 are taken."
        )


def _is_strong(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= RSA_BITS_MIN
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.key_size >= CURVE_BITS_MIN
    return isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)


def _check_certificate(certificate: x509.Certificate, signed_at: datetime) -> None:
    """What holds for every certificate of a path: valid when it was used, and nothing critical in it unread."""
    name = certificate.subject.rfc4514_string()
    if not certificate.not_valid_before_utc <= signed_at <= certificate.not_valid_after_utc:
        raise UntrustedSignerError(
            f"The certificate {name} was not valid when the package was signed, at {signed_at:%Y-%m-%d %H:%M:%S} UTC."
        )
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in UNDERSTOOD_EXTENSIONS:
            raise UntrustedSignerError(
                f"The certificate {name} has an unknown critical extension, {extension.oid.dotted_string}."
            )
