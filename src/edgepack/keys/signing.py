"""The signing keys of one edgepack: a root, which devices trust, and a signing certificate under it.

Made on first start in the data folder. Certificate profile: docs/package-format.md, "Certificates" (RFC 5280).
"""

import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgepack.durable import SECRET_FILE_MODE, write_file
from edgepack.errors import StateError
from edgepack.keys.certificates import make_root_certificate, make_signing_certificate, missing_extensions
from edgepack.keys.folder import KEYS_FOLDER, locked_keys_folder

ROOT_KEY, ROOT_CERTIFICATE = "root.key.pem", "root.pem"
SIGNING_KEY, SIGNING_CERTIFICATE = "signing.key.pem", "signing.pem"

CERTIFICATE_MARK = b"-----BEGIN CERTIFICATE-----"
KEY_FILE_ADVICE = (
    "The file must hold an unencrypted PEM private key on P-256 (`openssl ecparam -name prime256v1 -genkey -noout`) "
    "and, for devices that trust a root, the certificates from the signing one to the root."
)

DATA_ADVICE = "Name a folder that can be written, or one that can be made, with --data."
CERTIFICATE_ADVICE = (
    "Sign with a certificate for digital signatures (key usage) and code signing (extended key usage) that is valid "
    "now, followed by those above it to the root; or leave the certificates out, to sign with the bare key."
)


class SigningKeyError(StateError):
    """The signing keys are missing, damaged, or do not belong together. Nothing was signed."""

    code = "SigningKeyUnusable"
    advice = "Restore the keys folder from a backup; without it, devices must be given a new root certificate."


class FileSigner:
    """Signs with a private key held in memory, read from a file.

    Args:
        key: P-256 private key.
        certificates: Signing certificate first, root last; empty for a bare key.

    Raises:
        SigningKeyError: The key is of another kind, or not that of the certificate, or one certificate is not issued by
            the next.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificates: Sequence[x509.Certificate] = ()) -> None:
        if not isinstance(key.curve, ec.SECP256R1):
            raise SigningKeyError(f"The signing key is on the curve {key.curve.name}; P-256 is needed.")
        if certificates:
            _check_pair(key, certificates[0])
            _check_chain(certificates)
        self._key = key
        self._chain = tuple(certificate.public_bytes(serialization.Encoding.DER) for certificate in certificates)

    def __repr__(self) -> str:
        return f"<FileSigner with {len(self._chain)} certificates>"

    @property
    def certificate_chain(self) -> Sequence[bytes]:
        """DER certificates, signing certificate first, root last; empty for a bare key."""
        return self._chain

    @property
    def public_key(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, message: bytes) -> bytes:
        """DER ECDSA signature over the SHA-256 of `message`; the nonce is derived from both (RFC 6979), not drawn."""
        return self._key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def ensure_signing_keys(data: Path, *, now: datetime, made: Callable[[Path], None] = lambda _: None) -> FileSigner:
    """The data folder's signer; its keys are made if there are none yet.

    Safe to call from any number of processes at once: one makes the keys, the others wait and load them.

    Args:
        data: The data folder; created when missing.
        now: Aware time from which new certificates are valid.
        made: Called with the data folder once keys have been made by this call.

    Raises:
        SigningKeyError: Keys are there but cannot be used. They are never replaced.
        StateError: The folder cannot be written.
    """
    try:
        with locked_keys_folder(data) as folder:
            if missing := not (folder / SIGNING_CERTIFICATE).exists():
                _create(folder, now)
    except OSError as error:
        raise StateError(
            f"The signing keys cannot be made in {data / KEYS_FOLDER}: {error.strerror}.", advice=DATA_ADVICE
        ) from error
    if missing:
        made(data)
    return load_signer(data)


def load_signer(data: Path) -> FileSigner:
    """The data folder's signer.

    Raises:
        SigningKeyError: Its keys are missing, damaged, or do not belong together.
    """
    folder = data / KEYS_FOLDER
    certificates = [_load_certificate(folder / name) for name in (SIGNING_CERTIFICATE, ROOT_CERTIFICATE)]
    return FileSigner(_load_key(folder / SIGNING_KEY), certificates)


def signer_from_key_file(path: Path) -> FileSigner:
    """A signer from a PEM file with an unencrypted P-256 private key and, optionally, its certificates.

    Args:
        path: The file. Certificates in it stand signing certificate first, root last; without any, packages are signed
            by the bare key and verified with its public key.

    Raises:
        SigningKeyError: The file is missing or holds something else, or the certificate is not one for signing.
    """
    try:
        pem = _read(path)
        certificates = _certificates(pem, path)
        signer = FileSigner(_key(pem, path), certificates)
    except SigningKeyError as error:
        raise SigningKeyError(error.message, advice=KEY_FILE_ADVICE) from None
    for signing in certificates[:1]:
        _check_profile(signing)
    return signer


def export_trust(data: Path) -> bytes:
    """The root certificate, PEM: what devices and `edgepack verify --trust` need.

    Raises:
        SigningKeyError: There is none.
    """
    path = data / KEYS_FOLDER / ROOT_CERTIFICATE
    if not path.exists():
        raise SigningKeyError(
            f"There is no root certificate at {path}.",
            advice="`edgepack serve` and `edgepack package` make the keys of a data folder; name it with --data.",
        )
    return _load_certificate(path).public_bytes(serialization.Encoding.PEM)


def _create(folder: Path, now: datetime) -> None:
    """Make all four files; the signing certificate comes last and marks them complete.

    A root certificate that is there already stays: devices may have been given it, whatever became of the rest.
    """
    if (folder / ROOT_CERTIFICATE).exists():
        root, root_key = _load_certificate(folder / ROOT_CERTIFICATE), _load_key(folder / ROOT_KEY)
        _check_pair(root_key, root)
    else:
        root_key = ec.generate_private_key(ec.SECP256R1())
        root = make_root_certificate(root_key, now=now)
    signing_key = ec.generate_private_key(ec.SECP256R1())
    signing = make_signing_certificate(signing_key.public_key(), root, root_key, now=now)
    for name, data in (
        (ROOT_KEY, _private_pem(root_key)),
        (ROOT_CERTIFICATE, root.public_bytes(serialization.Encoding.PEM)),
        (SIGNING_KEY, _private_pem(signing_key)),
        (SIGNING_CERTIFICATE, signing.public_bytes(serialization.Encoding.PEM)),
    ):
        write_file(folder / name, data, mode=SECRET_FILE_MODE)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _check_pair(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    if certificate.public_key() != key.public_key():
        raise SigningKeyError(f"The private key is not that of the certificate {_shown(certificate)}.")


def _check_chain(certificates: Sequence[x509.Certificate]) -> None:
    for certificate, issuer in pairwise((*certificates, certificates[-1])):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            raise SigningKeyError(
                f"The certificate {_shown(certificate)} is the last one and not a root."
                if certificate is issuer
                else f"The certificate {_shown(certificate)} was not issued by {_shown(issuer)}, which follows it."
            ) from None


def _shown(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SigningKeyError(f"{path} cannot be read: {error.strerror}.") from error


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    return _key(_read(path), path)


def _key(pem: bytes, path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise SigningKeyError(f"{path} does not hold an unencrypted PEM private key.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SigningKeyError(f"{path} does not hold an elliptic curve key.")
    return key


def _certificates(pem: bytes, path: Path) -> list[x509.Certificate]:
    try:
        # The parser warns of what is refused here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificates = x509.load_pem_x509_certificates(pem) if CERTIFICATE_MARK in pem else []
            positive = all(certificate.serial_number > 0 for certificate in certificates)
    except ValueError:
        positive = False
    if not positive:
        raise SigningKeyError(f"{path} holds a damaged certificate.")
    return certificates


def _check_profile(certificate: x509.Certificate) -> None:
    """Whether the signing certificate has what is looked for in it; what it says there is for verifiers to judge."""
    try:
        missing = missing_extensions(certificate)
    except (ValueError, x509.DuplicateExtension):
        raise SigningKeyError(f"The certificate {_shown(certificate)} is damaged.", advice=KEY_FILE_ADVICE) from None
    if missing:
        raise SigningKeyError(
            f"The signing certificate {_shown(certificate)} lacks: {', '.join(missing)}.", advice=CERTIFICATE_ADVICE
        )


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_read(path))
    except ValueError:
        raise SigningKeyError(f"{path} does not hold a PEM certificate.") from None
