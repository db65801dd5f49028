"""Packages taken apart, certificates of every kind, and statements that say what no honest signer says."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from edgepack.keys.signing import FileSigner
from edgepack.package import assembly, bundle, statement
from edgepack.package.assembly import PackageFrame, frame_package
from edgepack.package.entry import manifest_entry, prefix_pieces
from edgepack.package.manifest import SCHEMA_VERSION, Manifest, ManifestBody, ModelIdentity
from edgepack.package.scan import ArchiveScan, scan_archive
from edgepack.package.signature import Signer, pem_chain
from edgepack.package.statement import Statement
from package.conftest import IDENTITY, NOW
from package.splicing import spliced

DAY = dt.timedelta(days=1)
CODE_SIGNING = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), True)
NO_AUTHORITY = (x509.BasicConstraints(ca=False, path_length=None), True)

Extension = tuple[x509.ExtensionType, bool]
"""An extension, and whether it is critical."""


def usage(*, signs: bool = False, certifies: bool = False) -> Extension:
    """A key usage extension."""
    return x509.KeyUsage(
        digital_signature=signs,
        key_cert_sign=certifies,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    ), True


SIGNS = (NO_AUTHORITY, usage(signs=True), CODE_SIGNING)
"""What a signing certificate has."""


def authority(path_length: int | None = None) -> tuple[Extension, ...]:
    """What a certificate that issues others has."""
    return (x509.BasicConstraints(ca=True, path_length=path_length), True), usage(certifies=True)


@dataclass(frozen=True)
class Holder:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def issue(self, name: str, *extensions: Extension) -> "Holder":
        """A certificate under this one, with just these extensions."""
        return holder(name, *extensions, issuer=self)

    def signer(self, *above: "Holder") -> FileSigner:
        """Signs with this key, showing the certificates above."""
        return FileSigner(self.key, [self.certificate, *(each.certificate for each in above)])


def holder(name: str, *extensions: Extension, issuer: Holder | None = None) -> Holder:
    """A new key and its certificate, self-signed unless there is an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name.from_rfc4514_string(f"CN={name}")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Holder(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))


def framed(
    archive: bytes, signer: Signer, *, identity: ModelIdentity = IDENTITY, signed_at: dt.datetime = NOW
) -> tuple[PackageFrame, bytes]:
    """A package's frame, and the deflate stream that belongs into it."""
    scan, deflate = spliced(archive)
    return frame_package(scan, identity=identity, signer=signer, signed_at=signed_at), deflate


def package_of(
    archive: bytes, signer: Signer, *, identity: ModelIdentity = IDENTITY, signed_at: dt.datetime = NOW
) -> bytes:
    """A whole package."""
    frame, deflate = framed(archive, signer, identity=identity, signed_at=signed_at)
    return frame.prefix + deflate + frame.trailer


@dataclass(frozen=True)
class Forgery:
    """How a package is to differ from an honest one; its signature is right all the same.

    Attributes:
        scan: Alters what was found in the archive.
        statement: Alters what is signed.
        manifest: Alters the manifest after it was signed.
    """

    scan: Callable[[ArchiveScan], ArchiveScan] = lambda scan: scan
    statement: Callable[[Statement], Statement] = lambda statement: statement
    manifest: Callable[[Manifest], Manifest] = lambda manifest: manifest


def forged(archive: bytes, signer: Signer, forgery: Forgery) -> bytes:
    """A package by a trusted signer that lies, or whose signed parts were put together by someone else."""
    honest = scan_archive([archive])
    scan = forgery.scan(honest)
    chain = pem_chain(signer.certificate_chain)
    body = ManifestBody(
        certificate_chain=chain, files=scan.files, metadata=IDENTITY.metadata(), schema_version=SCHEMA_VERSION
    )
    stated = forgery.statement(statement.build_statement(scan, body, NOW))
    signed = bundle.seal(bundle.message_of(stated), signer)
    manifest = Manifest(
        certificate_chain=chain,
        files=scan.files,
        metadata=dict(body.metadata),
        schema_version=SCHEMA_VERSION,
        signature=msgspec.Raw(signed),
    )
    entry = manifest_entry(forgery.manifest(manifest), int(NOW.timestamp()))
    return (
        b"".join(prefix_pieces(entry))
        + archive[honest.deflate_start : honest.deflate_end]
        + assembly.package_trailer(entry, honest.crc32, honest.tar_size)
    )
