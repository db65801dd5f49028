"""The signed statement and its envelope: an OpenSSF Model Signing v1.0 bundle that `model_signing verify` accepts.

Sigstore bundle v0.3 around a DSSE envelope around an in-toto statement v1, signed with ECDSA P-256 and SHA-256. The predicate's
`edgepack` section binds what model_signing does not look at: the manifest, the tar framing, the compressed bytes.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from edgepack.package.errors import SignatureError, SigningError
from edgepack.package.manifest import SCHEMA_VERSION, ManifestBody, TargetPlatform, canonical_json
from edgepack.package.names import MANIFEST_NAME
from edgepack.package.scan import ArchiveScan

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

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


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Closed JSON objects; fields in alphabetical order."""


class Resource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One signed file, as Model Signing names it.

    Attributes:
        algorithm: `sha256`.
        digest: Hex digest of the file's content.
        name: The file's path.
    """

    algorithm: str
    digest: str
    name: str


class Coverage(_Struct, frozen=True, kw_only=True):
    """The statement's `edgepack` section: what else is signed.

    Attributes:
        deflate_crc32: CRC-32 of the deflate bytes taken over from the source.
        deflate_size: Their number.
        framing_sha256: Hex SHA-256 of the tar stream behind the manifest's entry, without the files' contents.
        manifest_sha256: Hex SHA-256 of the manifest without its `signature`, in canonical form.
        metadata: The manifest's metadata, for whoever reads the statement alone.
        schema_version: `SCHEMA_VERSION`.
        signed_at: The signer's time, RFC 3339, UTC, whole seconds.
        tar_crc32: CRC-32 of the tar stream behind the manifest's entry.
        tar_size: Its bytes.
        target_platform: The manifest's platform.
    """

    deflate_crc32: int
    deflate_size: int
    framing_sha256: str
    manifest_sha256: str
    metadata: dict[str, str]
    schema_version: str
    signed_at: str
    tar_crc32: int
    tar_size: int
    target_platform: TargetPlatform | None = None

    def signing_time(self) -> datetime:
        """`signed_at` as an aware datetime.

        Raises:
            SignatureError: It is not of the one accepted form.
        """
        try:
            time = datetime.strptime(self.signed_at, _TIME_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            raise SignatureError(
                f"The signing time {self.signed_at!r} is not of the form 2026-01-31T12:00:00Z."
            ) from None
        if format_time(time) != self.signed_at:
            raise SignatureError(f"The signing time {self.signed_at!r} is not of the form 2026-01-31T12:00:00Z.")
        return time


_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def format_time(time: datetime) -> str:
    """An aware datetime as RFC 3339 in UTC with whole seconds."""
    return time.astimezone(UTC).strftime(_TIME_FORMAT)


class Serialization(_Struct, frozen=True, kw_only=True):
    """How model_signing must read the files to come to the same digests."""

    allow_symlinks: bool
    hash_type: str
    ignore_paths: tuple[str, ...]
    method: str


SERIALIZATION = Serialization(allow_symlinks=False, hash_type="sha256", ignore_paths=(MANIFEST_NAME,), method="files")


class Predicate(_Struct, frozen=True, kw_only=True):
    """The statement's predicate."""

    edgepack: Coverage
    resources: list[Resource]
    serialization: Serialization


class SubjectDigest(_Struct, frozen=True, kw_only=True):
    """Hex SHA-256 over all resources' raw digests in their order."""

    sha256: str


class Subject(_Struct, frozen=True, kw_only=True):
    """What the statement is about: the model, by its name."""

    digest: SubjectDigest
    name: str


class Statement(_Struct, frozen=True, kw_only=True):
    """The in-toto statement that is signed."""

    type_: str = msgspec.field(name="_type")
    predicate: Predicate
    predicateType: str  # noqa: N815 - in-toto's spelling
    subject: tuple[Subject]


class EnvelopeSignature(_Struct, frozen=True, kw_only=True):
    """One DSSE signature."""

    keyid: Literal[""]
    sig: str


class Envelope(_Struct, frozen=True, kw_only=True):
    """The DSSE envelope: base64 payload and its signature."""

    payload: str
    payloadType: str  # noqa: N815 - DSSE's spelling
    signatures: tuple[EnvelopeSignature]


class RawCertificate(_Struct, frozen=True, kw_only=True):
    """A base64 DER certificate."""

    rawBytes: str  # noqa: N815 - sigstore's spelling


class CertificateChain(_Struct, frozen=True, kw_only=True):
    """Signing certificate first, root last."""

    certificates: tuple[RawCertificate, ...]


class PublicKeyHint(_Struct, frozen=True, kw_only=True):
    """Hex SHA-256 of the PEM public key."""

    hint: str


class VerificationMaterial(_Struct, frozen=True, kw_only=True):
    """Who signed: a certificate chain, or a key's hint."""

    publicKey: PublicKeyHint | None = None  # noqa: N815 - sigstore's spelling
    tlogEntries: tuple[()]  # noqa: N815 - sigstore's spelling
    x509CertificateChain: CertificateChain | None = None  # noqa: N815 - sigstore's spelling


class Bundle(_Struct, frozen=True, kw_only=True):
    """The sigstore bundle."""

    dsseEnvelope: Envelope  # noqa: N815 - sigstore's spelling
    mediaType: str  # noqa: N815 - sigstore's spelling
    verificationMaterial: VerificationMaterial  # noqa: N815 - sigstore's spelling


def build_statement(scan: ArchiveScan, body: ManifestBody, signed_at: datetime) -> Statement:
    """State every fact about a package that its signer answers for.

    Args:
        scan: The model artifact.
        body: The manifest without its signature.
        signed_at: The signer's time.
    """
    resources = [Resource("sha256", file.sha256, file.path) for file in body.files]
    resources.sort(key=lambda resource: resource.name)
    return Statement(
        type_=STATEMENT_TYPE,
        predicate=Predicate(
            edgepack=Coverage(
                deflate_crc32=scan.deflate_crc32,
                deflate_size=scan.deflate_size,
                framing_sha256=scan.framing_sha256,
                manifest_sha256=hashlib.sha256(canonical_json(body)).hexdigest(),
                metadata=dict(body.metadata),
                schema_version=SCHEMA_VERSION,
                signed_at=format_time(signed_at),
                tar_crc32=scan.crc32,
                tar_size=scan.tar_size,
                target_platform=body.target_platform,
            ),
            resources=resources,
            serialization=SERIALIZATION,
        ),
        predicateType=PREDICATE_TYPE,
        subject=(Subject(digest=SubjectDigest(sha256=root_digest(resources)), name=body.metadata["model_name"]),),
    )


def root_digest(resources: Sequence[Resource]) -> str:
    """Hex SHA-256 over the resources' raw digests, as Model Signing defines the subject's digest."""
    return hashlib.sha256(bytes.fromhex("".join([resource.digest for resource in resources]))).hexdigest()


def pre_authentication_encoding(payload: bytes) -> bytes:
    """What DSSE signs in place of the bare payload (DSSE v1 protocol, PAE)."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def seal(statement: Statement, signer: Signer) -> bytes:
    """Sign a statement.

    Returns:
        The bundle's canonical JSON.

    Raises:
        SigningError: The signer's signature does not verify with its own public key.
    """
    payload = canonical_json(statement)
    message = pre_authentication_encoding(payload)
    signature = low_s(signer.sign(message))
    if not verifies(load_public_key(signer.public_key), signature, message):
        raise SigningError("The signature made does not verify with the signer's own public key.")
    bundle = Bundle(
        dsseEnvelope=Envelope(
            payload=_base64(payload),
            payloadType=PAYLOAD_TYPE,
            signatures=(EnvelopeSignature(keyid="", sig=_base64(signature)),),
        ),
        mediaType=BUNDLE_TYPE,
        verificationMaterial=_material(signer),
    )
    return canonical_json(bundle)


def _material(signer: Signer) -> VerificationMaterial:
    if not signer.certificate_chain:
        return VerificationMaterial(publicKey=PublicKeyHint(hint=key_hint(signer.public_key)), tlogEntries=())
    certificates = tuple(RawCertificate(rawBytes=_base64(der)) for der in signer.certificate_chain)
    return VerificationMaterial(tlogEntries=(), x509CertificateChain=CertificateChain(certificates=certificates))


def key_hint(public_key: bytes) -> str:
    """How model_signing names a bare key: hex SHA-256 of its PEM form.

    Args:
        public_key: DER SubjectPublicKeyInfo.
    """
    pem = load_public_key(public_key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(pem).hexdigest()


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
        SigningError: It is not a DER ECDSA signature.
    """
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        raise SigningError("The signer did not return a DER ECDSA signature.") from None
    return encode_dss_signature(r, min(s, P256_ORDER - s))


class OpenedBundle(_Struct, frozen=True, kw_only=True):
    """A bundle taken apart; nothing in it is trusted yet.

    Attributes:
        statement: What it says was signed.
        message: The bytes the signature must be over.
        signature: DER ECDSA signature, low s.
        certificates: DER certificates in the bundle's order; empty for a bare key.
        hint: The bare key's hint, or None.
    """

    statement: Statement
    message: bytes
    signature: bytes
    certificates: tuple[bytes, ...]
    hint: str | None


def open_bundle(data: bytes | bytearray | memoryview) -> OpenedBundle:
    """Take a bundle apart and require the canonical spelling at every level.

    Raises:
        SignatureError: It is not a bundle of the one form, or contradicts itself.
    """
    bundle = _decoded(data, Bundle, "signature bundle")
    envelope, material = bundle.dsseEnvelope, bundle.verificationMaterial
    if bundle.mediaType != BUNDLE_TYPE or envelope.payloadType != PAYLOAD_TYPE:
        raise SignatureError("The signature bundle is of another type.")
    payload = _unbase64(envelope.payload)
    statement = _decoded(payload, Statement, "signed statement")
    _check_statement(statement)
    if (material.publicKey is None) == (material.x509CertificateChain is None):
        raise SignatureError("The signature bundle must name either a certificate chain or a key.")
    chain = material.x509CertificateChain
    certificates = tuple(_unbase64(raw.rawBytes) for raw in chain.certificates) if chain else ()
    if chain and not certificates:
        raise SignatureError("The signature bundle's certificate chain is empty.")
    signature = _unbase64(envelope.signatures[0].sig)
    try:
        canonical = low_s(signature) == signature
    except SigningError:
        canonical = False
    if not canonical:
        raise SignatureError("The signature is not a canonical DER ECDSA signature.")
    return OpenedBundle(
        statement=statement,
        message=pre_authentication_encoding(payload),
        signature=signature,
        certificates=certificates,
        hint=material.publicKey.hint if material.publicKey else None,
    )


def _check_statement(statement: Statement) -> None:
    predicate = statement.predicate
    if statement.type_ != STATEMENT_TYPE or statement.predicateType != PREDICATE_TYPE:
        raise SignatureError("The signed statement is of another type.")
    if predicate.serialization != SERIALIZATION or predicate.edgepack.schema_version != SCHEMA_VERSION:
        raise SignatureError("The signed statement is of another version.")
    for resource in predicate.resources:
        if resource.algorithm != "sha256" or not _is_sha256(resource.digest):
            raise SignatureError(f"The signed digest of {resource.name!r} is not a SHA-256 one.")
    if not predicate.resources or statement.subject[0].digest.sha256 != root_digest(predicate.resources):
        raise SignatureError("The signed statement's root digest is not that of its files.")


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and not text.strip("0123456789abcdef")  # noqa: PLR2004 - hex digits of SHA-256


_Decoded = TypeVar("_Decoded", Bundle, Statement)


def _decoded(data: bytes | bytearray | memoryview, shape: type[_Decoded], what: str) -> _Decoded:
    try:
        value = msgspec.json.decode(data, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SignatureError(f"The {what} does not follow its schema: {error}.") from None
    if canonical_json(value) != data:
        raise SignatureError(f"The {what} is not in canonical form.")
    return value


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError("The signature bundle has a field that is not base64.") from None
    if _base64(data) != text:
        raise SignatureError("The signature bundle has a field that is not canonical base64.")
    return data
