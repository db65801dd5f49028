"""Whom a verifier trusts, and whether a signer is one of them.

Trust is always given from outside: what a package says about its own signer is only ever a claim.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgepack.package.bundle import OpenedBundle
from edgepack.package.certificate_profile import (
    DAMAGE,
    check_links,
    check_path,
    check_serial_numbers,
    check_signing_certificate,
    damage_refused,
    is_issued_by,
    load_chain,
    no_warnings,
)
from edgepack.package.errors import SignatureError, TrustError, UntrustedSignerError
from edgepack.package.signature import key_hint, load_public_key

CLOCK_SKEW = timedelta(minutes=15)
"""How far in a verifier's future a signing time may lie: clocks of devices and servers differ."""

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

    @classmethod
    def of_certificate(cls, certificate: x509.Certificate) -> "SignerIdentity":
        """Who signs with a certificate."""
        return cls(certificate.subject.rfc4514_string(), certificate.fingerprint(hashes.SHA256()).hex())

    @classmethod
    def of_key(cls, hint: str) -> "SignerIdentity":
        """Who signs with a bare key of that hint."""
        return cls("public key", hint)


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
                with no_warnings():
                    certificates = x509.load_pem_x509_certificates(pem)
                    check_serial_numbers(certificates)
            keys = [_der(block.partition(_PEM_END)[0]) for block in pem.split(_PEM_PUBLIC_KEY)[1:]]
        except SignatureError as error:
            raise TrustError(error.message) from None
        except (*DAMAGE, x509.InvalidVersion):
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
        check_links(chain)
        key = chain[0].public_key()
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if der not in self.keys:
            self._check_chain(chain, signed_at)
        return load_public_key(der), SignerIdentity.of_certificate(chain[0])

    def _check_key(self, hint: str | None) -> tuple[ec.EllipticCurvePublicKey, SignerIdentity]:
        for der in self.keys:
            if key_hint(der) == hint:
                return load_public_key(der), SignerIdentity.of_key(hint)
        raise UntrustedSignerError("The package is signed with a bare key that is not among the trusted ones.")

    def _check_chain(self, chain: Sequence[x509.Certificate], signed_at: datetime) -> None:
        check_signing_certificate(chain[0])
        problem: UntrustedSignerError | None = None
        for path in self._paths(chain):
            try:
                check_path(path, signed_at)
            except UntrustedSignerError as error:
                problem = problem or error
            else:
                return
        raise problem or UntrustedSignerError(
            f"The signer's certificates ({chain[0].subject.rfc4514_string()}) do not lead to a trusted one."
        )

    def _paths(self, chain: Sequence[x509.Certificate]) -> Iterator[Sequence[x509.Certificate]]:
        """All ways along the chain to a trusted certificate in it, or to one that has issued some certificate of it.

        There may be several: a root that was renewed with its key has issued what the expired one has.
        """
        for end, certificate in enumerate(chain, start=1):
            if certificate in self.certificates:
                yield chain[:end]
            elsewhere = (each for each in self.certificates if each not in chain)
            yield from ((*chain[:end], each) for each in elsewhere if is_issued_by(certificate, each))


def _der(pem_body: bytes) -> bytes:
    key = serialization.load_pem_public_key(_PEM_PUBLIC_KEY + pem_body + _PEM_END)
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    load_public_key(der)
    return der
