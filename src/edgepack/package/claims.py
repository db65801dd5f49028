"""What a package's certificates say of themselves, for whoever wants to see it: nothing here is checked or trusted."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from edgepack.package.bundle import OpenedBundle
from edgepack.package.certificate_profile import damage_refused, load_chain


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateClaims:
    """What one certificate says. Its texts are whatever its maker wrote.

    Attributes:
        subject: Whose it claims to be (RFC 4514).
        issuer: By whom it claims to be issued, likewise.
        not_before: When its validity begins.
        not_after: When it ends.
        serial: Hex serial number.
        sha256: Hex SHA-256 of the certificate (DER).
    """

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    serial: str
    sha256: str


def certificate_claims(bundle: OpenedBundle) -> tuple[CertificateClaims, ...]:
    """What the certificates of a bundle say, the signing one first; nothing for a bare key.

    Args:
        bundle: The bundle, of which nothing need hold.

    Raises:
        SignatureError: One is damaged, or there are more than a verifier would look at.
    """
    with damage_refused():
        return tuple(_claims(certificate) for certificate in load_chain(bundle.certificates))


def _claims(certificate: x509.Certificate) -> CertificateClaims:
    return CertificateClaims(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        serial=f"{certificate.serial_number:x}",
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )
