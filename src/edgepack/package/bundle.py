"""The signature bundle: a sigstore bundle v0.3 around a DSSE envelope, which `model_signing verify` accepts."""

import re
from typing import Annotated, Literal, TypeVar

import msgspec

from edgepack.package.canonical import Encoded, canonical_json, is_made_of
from edgepack.package.errors import SignatureError, SigningError
from edgepack.package.limits import CERTIFICATES_MAX, CHAIN_SIZE_MAX
from edgepack.package.signature import Signer, key_hint, load_public_key, low_s, verifies
from edgepack.package.statement import ClosedStruct, Statement, check_statement

PAYLOAD_TYPE = "application/vnd.in-toto+json"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

_PAYLOAD_FRONT = re.compile(rb"DSSEv1 \d+ \S+ \d+ ")


class EnvelopeSignature(ClosedStruct, frozen=True, kw_only=True):
    """One DSSE signature; DER."""

    keyid: Literal[""]
    sig: bytes


class Envelope(ClosedStruct, frozen=True, kw_only=True):
    """The DSSE envelope: payload and its signature."""

    payload: bytes
    payloadType: str  # noqa: N815 - DSSE's spelling
    signatures: tuple[EnvelopeSignature]


class RawCertificate(ClosedStruct, frozen=True, kw_only=True):
    """A DER certificate."""

    rawBytes: bytes  # noqa: N815 - sigstore's spelling


Certificates = Annotated[tuple[RawCertificate, ...], msgspec.Meta(max_length=CERTIFICATES_MAX)]
"""Signing certificate first, root last."""


class CertificateChain(ClosedStruct, frozen=True, kw_only=True):
    """The `Certificates` as JSON: their bytes are counted before anything is made of them."""

    certificates: msgspec.Raw


class PublicKeyHint(ClosedStruct, frozen=True, kw_only=True):
    """Hex SHA-256 of the PEM public key."""

    hint: str


class VerificationMaterial(ClosedStruct, frozen=True, kw_only=True):
    """Who signed: a certificate chain, or a key's hint."""

    publicKey: PublicKeyHint | None = None  # noqa: N815 - sigstore's spelling
    tlogEntries: tuple[()]  # noqa: N815 - sigstore's spelling
    x509CertificateChain: CertificateChain | None = None  # noqa: N815 - sigstore's spelling


class Bundle(ClosedStruct, frozen=True, kw_only=True):
    """The sigstore bundle."""

    dsseEnvelope: Envelope  # noqa: N815 - sigstore's spelling
    mediaType: str  # noqa: N815 - sigstore's spelling
    verificationMaterial: VerificationMaterial  # noqa: N815 - sigstore's spelling


class OpenedBundle(ClosedStruct, frozen=True, kw_only=True):
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


def pre_authentication_encoding(payload: bytes) -> bytes:
    """What DSSE signs in place of the bare payload (DSSE v1 protocol, PAE)."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def payload_of(message: bytes) -> memoryview:
    """The payload in a pre-authentication encoding, not copied."""
    front = _PAYLOAD_FRONT.match(message)
    assert front is not None
    return memoryview(message)[front.end() :]


def message_of(statement: Statement) -> bytes:
    """What is signed of a statement: its canonical JSON, in DSSE's encoding."""
    return pre_authentication_encoding(canonical_json(statement))


def seal(message: bytes, signer: Signer) -> bytes:
    """Sign a statement.

    Args:
        message: The statement's `message_of`. Not the statement itself, which nobody need hold any more.
        signer: Signs once.

    Returns:
        The bundle's canonical JSON.

    Raises:
        SigningError: The signer's signature does not verify with its own public key.
    """
    signature = _signature(signer, message)
    bundle = Bundle(
        dsseEnvelope=Envelope(
            payload=bytes(payload_of(message)),
            payloadType=PAYLOAD_TYPE,
            signatures=(EnvelopeSignature(keyid="", sig=signature),),
        ),
        mediaType=BUNDLE_TYPE,
        verificationMaterial=_material(signer),
    )
    return canonical_json(bundle)


def _signature(signer: Signer, message: bytes) -> bytes:
    signature = low_s(signer.sign(message))
    if not verifies(load_public_key(signer.public_key), signature, message):
        raise SigningError("The signature made does not verify with the signer's own public key.")
    return signature


def _material(signer: Signer) -> VerificationMaterial:
    if not signer.certificate_chain:
        return VerificationMaterial(publicKey=PublicKeyHint(hint=key_hint(signer.public_key)), tlogEntries=())
    certificates = canonical_json([RawCertificate(rawBytes=der) for der in signer.certificate_chain])
    chain = CertificateChain(certificates=msgspec.Raw(certificates))
    return VerificationMaterial(tlogEntries=(), x509CertificateChain=chain)


def open_bundle(data: Encoded) -> OpenedBundle:
    """Take a bundle apart and require the canonical spelling at every level.

    Raises:
        SignatureError: It is not a bundle of the one form, or contradicts itself.
    """
    bundle = _decoded(data, Bundle, "signature bundle")
    envelope, material = bundle.dsseEnvelope, bundle.verificationMaterial
    if bundle.mediaType != BUNDLE_TYPE or envelope.payloadType != PAYLOAD_TYPE:
        raise SignatureError("The signature bundle is of another type.")
    message = pre_authentication_encoding(envelope.payload)
    statement = _decoded(payload_of(message), Statement, "signed statement")
    check_statement(statement)
    if (material.publicKey is None) == (material.x509CertificateChain is None):
        raise SignatureError("The signature bundle must name either a certificate chain or a key.")
    signature = envelope.signatures[0].sig
    try:
        canonical = low_s(signature) == signature
    except SigningError:
        canonical = False
    if not canonical:
        raise SignatureError("The signature is not a canonical DER ECDSA signature.")
    return OpenedBundle(
        statement=statement,
        message=message,
        signature=signature,
        certificates=_certificates(material.x509CertificateChain) if material.x509CertificateChain else (),
        hint=material.publicKey.hint if material.publicKey else None,
    )


def _certificates(chain: CertificateChain) -> tuple[bytes, ...]:
    if len(memoryview(chain.certificates)) > CHAIN_SIZE_MAX:
        raise SignatureError(f"The signature bundle's certificate chain has more than {CHAIN_SIZE_MAX} bytes.")
    certificates = _decoded(chain.certificates, Certificates, "signature bundle's certificate chain")
    if not certificates:
        raise SignatureError("The signature bundle's certificate chain is empty.")
    return tuple(certificate.rawBytes for certificate in certificates)


_Decoded = TypeVar("_Decoded", Bundle, Statement, Certificates)


def _decoded(data: Encoded, shape: type[_Decoded], what: str) -> _Decoded:
    try:
        value = msgspec.json.decode(data, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SignatureError(f"The {what} does not follow its schema: {error}.") from None
    if not is_made_of(data, canonical_json(value)):
        raise SignatureError(f"The {what} is not in canonical form.")
    return value
