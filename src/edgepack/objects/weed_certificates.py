"""The certificates by which the embedded store's parts know each other on its gRPC ports.

Those ports can list, read and delete everything, and on a shared machine every local user reaches them. An authority
that signs one certificate and is then forgotten keeps everybody else out.
"""

import datetime as dt
import ipaddress
from dataclasses import dataclass, field
from typing import Final

from edgepack.objects.ports import LOOPBACK

VALID_DAYS: Final = 36_500
"""About a century: the certificate never leaves the folder whose contents it protects, so its age is no risk."""


@dataclass(frozen=True, slots=True)
class StoreCertificates:
    """PEM files of the store.

    Attributes:
        authority: The authority's certificate. Its key is not kept.
        certificate: The certificate of every part of the store, as server and as client.
        key: Its private key; kept out of the repr.
    """

    authority: bytes
    certificate: bytes
    key: bytes = field(repr=False)


def make_certificates(*, now: dt.datetime) -> StoreCertificates:
    """Make an authority and the one certificate it signs, both ECDSA P-256.

    Args:
        now: The present, with a time zone; they are valid from the day before.
    """
    from cryptography import x509  # noqa: PLC0415 - costly, and needed at the first start only
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    def named(name: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
        )

    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = (
        named("edgepack embedded store authority", "edgepack embedded store authority", authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        named("edgepack embedded store", "edgepack embedded store authority", key)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return StoreCertificates(
        authority.public_bytes(pem),
        certificate.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
