"""Signing and checking signatures: ECDSA on P-256 with SHA-256, in the one DER form that packages use."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from edgepack.package.errors import SignatureError, SigningError

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the curve's base point (FIPS 186-5, SP 800-186). Of the two valid s values, the lower one is used."""


class Signer(Protocol):
    """Whoever holds the private key."""

    @property
    def certificate_chain(self) -> Sequence[bytes]:
        """DER certificates: signing certificate first, root last. Empty where there is only a key."""

    @property
    def public_key(self) -> bytes:
        """DER SubjectPublicKeyInfo of the signing key, on P-256."""

    def sign(self, message: bytes) -> bytes:
        """DER ECDSA signature over the SHA-256 of `message`."""


def key_hint(public_key: bytes) -> str:
    """How model_signing names a bare key: hex SHA-256 of its PEM form.

    Args:
        public_key: DER SubjectPublicKeyInfo.
    """
    pem = load_public_key(public_key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(pem).hexdigest()


def pem_chain(certificates: Sequence[bytes]) -> tuple[str, ...]:
    """Certificates as the manifest has them.

    Args:
        certificates: DER certificates.
    """
    return tuple(
        x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM).decode("ascii")
        for der in certificates
    )


def load_public_key(der: bytes) -> ec.EllipticCurvePublicKey:
    """A P-256 public key from its DER form.

    Raises:
        SignatureError: It is of another kind.
    """
    try:
        key = serialization.load_der_public_key(der)
    except ValueError:
        raise SignatureError("The public key is malformed.") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SignatureError("The public key is not on the curve P-256.")
    return key


def verifies(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Whether the signature over the message's SHA-256 is the key's."""
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def low_s(signature: bytes) -> bytes:
    """The one of the two equivalent ECDSA signatures that packages use: with both allowed, a package could be altered.

    Raises:
        SigningError: It is not a DER ECDSA signature, or its numbers are none that one can have (FIPS 186-5, 6.4.2).
    """
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        raise SigningError("The signer did not return a DER ECDSA signature.") from None
    if not (0 < r < P256_ORDER and 0 < s < P256_ORDER):
        raise SigningError("The signer returned an ECDSA signature whose numbers are out of range.")
    return encode_dss_signature(r, min(s, P256_ORDER - s))
