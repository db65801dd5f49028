"""Whom a verifier trusts, and whether a signer is one of them.

Trust is always given from outside: what a package says about its own signer is only ever a claim.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID

from edgepack.package.bundle import OpenedBundle
from edgepack.package.errors import SignatureError, TrustError, UntrustedSignerError
from edgepack.package.limits import CERTIFICATES_MAX
from edgepack.package.signature import key_hint, load_public_key

CLOCK_SKEW = timedelta(minutes=15)
"""How far in a verifier's future a signing time may lie: clocks of devices and servers differ."""

UNDERSTOOD_EXTENSIONS = frozenset((x509.BasicConstraints.oid, x509.KeyUsage.oid, x509.ExtendedKeyUsage.oid))
"""Critical extensions that are looked at; a certificate with another critical one is not relied on (RFC 5280, 4.2)."""

_DAMAGED = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, CryptographyDeprecationWarning)
"""What reading a damaged certificate raises; the last where warnings are made errors, for a serial number below one."""

_PEM_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_PEM_PUBLIC_KEY = b"-----BEGIN PUBLIC KEY-----"
_PEM_END = b"-----END PUBLIC KEY-----"


@dataclass(frozen=True, slots=True)
class SignerIdentity:
    """Who signed a package, once it is known to be trusted.

    Attributes:
        name: The signing certificate's subject, or `public key` for a bare key.
        fingerprint: Hex SHA-256 of the certificate (DER), or of the public key's PEM form.
    """

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class TrustRoots:
    """What a verifier trusts: certificates that a signer's chain may lead to, and keys that may sign themselves.

    Attributes:
        certificates: Usually one: edgepack's root certificate.
        keys: DER SubjectPublicKeyInfo of trusted signing keys.
    """

    certificates: tuple[x509.Certificate, ...] = ()
    keys: tuple[bytes, ...] = ()

    @classmethod
    def from_pem(cls, pem: bytes) -> "TrustRoots":
        """Read certificates and public keys, one after the other, from PEM text.

        Raises:
            TrustError: There is none in it, or one is damaged or no P-256 key.
        """
        certificates: list[x509.Certificate] = []
        try:
            if _PEM_CERTIFICATE in pem:
                certificates = x509.load_pem_x509_certificates(pem)
            keys = [_der(block.partition(_PEM_END)[0]) for block in pem.split(_PEM_PUBLIC_KEY)[1:]]
        except SignatureError as error:
            raise TrustError(error.message) from None
        except (*_DAMAGED, x509.InvalidVersion):
            raise TrustError("What should be PEM certificates or public keys is damaged.") from None
        if not certificates and not keys:
            raise TrustError("There is neither a PEM certificate nor a PEM public key to trust.")
        return cls(tuple(certificates), tuple(keys))

    def check(self, bundle: OpenedBundle, *, now: datetime) -> tuple[ec.EllipticCurvePublicKey, SignerIdentity]:
        """Whether the signer that a bundle names is trusted; as `check_signer`.

        Args:
            bundle: The bundle, whose signature has not been looked at.
            now: The verifier's clock, aware.
        """
        signed_at = bundle.statement.predicate.edgepack.signing_time()
        return self.check_signer(bundle.certificates, hint=bundle.hint, signed_at=signed_at, now=now)

    def check_signer(
        self, certificates: Sequence[bytes], *, hint: str | None, signed_at: datetime, now: datetime
    ) -> tuple[ec.EllipticCurvePublicKey, SignerIdentity]:
        """Whether a signer is trusted.

        Args:
            certificates: DER, the signing certificate first; empty for a bare key.
            hint: The bare key's hint.
            signed_at: When it signs, aware.
            now: The verifier's clock, aware.

        Returns:
            The key that must have signed, and who that is.

        Raises:
            UntrustedSignerError: The chain leads to no trusted certificate, or was not valid at signing time.
            SignatureError: The signing time lies in the future.
        """
        if signed_at > now + CLOCK_SKEW:
            raise SignatureError(
                f"The package says that it was signed in the future, at {signed_at:%Y-%m-%d %H:%M:%S} UTC."
            )
        if not certificates:
            return self._check_key(hint)
        with damage_refused():
            return self._check_certificates(load_chain(certificates), signed_at)

    def _check_certificates(
        self, chain: Sequence[x509.Certificate], signed_at: datetime
    ) -> tuple[ec.EllipticCurvePublicKey, SignerIdentity]:
        key = chain[0].public_key()
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if der not in self.keys:
            self._check_chain(chain, signed_at)
        return load_public_key(der), SignerIdentity(
            chain[0].subject.rfc4514_string(), chain[0].fingerprint(hashes.SHA256()).hex()
        )

    def _check_key(self, hint: str | None) -> tuple[ec.EllipticCurvePublicKey, SignerIdentity]:
        for der in self.keys:
            if key_hint(der) == hint:
                return load_public_key(der), SignerIdentity("public key", hint)
        raise UntrustedSignerError("The package is signed with a bare key that is not among the trusted ones.")

    def _check_chain(self, chain: Sequence[x509.Certificate], signed_at: datetime) -> None:
        _check_signing_certificate(chain[0])
        for position, certificate in enumerate(chain):
            _check_certificate(certificate, signed_at)
            if certificate in self.certificates:
                return
            issuer = next(iter(chain[position + 1 :]), None) or self._issuer_of(certificate)
            if issuer is None:
                break
            _check_issued(certificate, issuer, below=position)
            if issuer in self.certificates:
                _check_certificate(issuer, signed_at)
                return
        raise UntrustedSignerError(
            f"The signer's certificates ({chain[0].subject.rfc4514_string()}) do not lead to a trusted one."
        )

    def _issuer_of(self, certificate: x509.Certificate) -> x509.Certificate | None:
        return next((each for each in self.certificates if _is_issued_by(certificate, each)), None)


def _der(pem_body: bytes) -> bytes:
    key = serialization.load_pem_public_key(_PEM_PUBLIC_KEY + pem_body + _PEM_END)
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    load_public_key(der)
    return der


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False
    return True


@contextmanager
def damage_refused() -> Iterator[None]:
    """Turn whatever reading a damaged certificate raises into one refusal; much of one is only read when it is asked.

    Raises:
        SignatureError: A certificate is damaged.
    """
    try:
        yield
    except _DAMAGED:
        raise SignatureError("The certificate chain has a damaged certificate.") from None


def load_chain(certificates: Sequence[bytes]) -> list[x509.Certificate]:
    """Certificates from their DER form; which of their fields are readable shows when they are read.

    Raises:
        SignatureError: There are more than `CERTIFICATES_MAX`, or one is of an unknown version.
        ValueError: One is damaged; what else a damaged one raises, here and later, `damage_refused` takes.
    """
    if len(certificates) > CERTIFICATES_MAX:
        raise SignatureError(f"The certificate chain has more than {CERTIFICATES_MAX} certificates.")
    try:
        return [x509.load_der_x509_certificate(der) for der in certificates]
    except x509.InvalidVersion:
        raise SignatureError("The certificate chain has a certificate of an unknown version.") from None


def _check_signing_certificate(certificate: x509.Certificate) -> None:
    """The profile of docs/package-format.md: an end entity that may sign, and may sign code."""
    try:
        extensions = certificate.extensions
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        is_authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound as error:
        raise UntrustedSignerError(f"The signing certificate lacks what its profile asks for: {error}.") from None
    if is_authority or not usage.digital_signature or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise UntrustedSignerError("The signing certificate is not one for signing packages.")


def _check_issued(certificate: x509.Certificate, issuer: x509.Certificate, *, below: int) -> None:
    """Whether an authority issued a certificate with `below` others under it."""
    if not _is_issued_by(certificate, issuer):
        raise UntrustedSignerError("The certificate chain is broken: one was not issued by the next.")
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        may_certify = issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        raise UntrustedSignerError(
            "The certificate chain has a certificate without the extensions of an issuer."
        ) from None
    too_long = constraints.path_length is not None and constraints.path_length < below
    if not constraints.ca or not may_certify or too_long:
        raise UntrustedSignerError("The certificate chain has a certificate that may not issue others.")


def _check_certificate(certificate: x509.Certificate, signed_at: datetime) -> None:
    """What holds for every certificate of a chain: valid when it was used, and nothing critical in it unread."""
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
