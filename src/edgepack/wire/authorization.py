"""The Authorization header of AWS Signature Version 4, taken apart.

Source: "Add the signature to the request" in https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
What is parsed here repeats from request to request, so the parts that do are remembered: bounded, and short.
"""

from functools import lru_cache
from typing import Final

import msgspec

from edgepack.errors import IncompleteSignatureError

ALGORITHM: Final = b"AWS4-HMAC-SHA256"
TERMINATOR: Final = b"aws4_request"

MAX_HEADER_BYTES: Final = 4096
"""Length of the header's value. SDKs' have 250 bytes; AWS limits an access key id to 128 characters, and the rest of
it would hold the names of about two hundred headers."""

_CREDENTIAL: Final = b"Credential"
_SIGNED_HEADERS: Final = b"SignedHeaders"
_SIGNATURE: Final = b"Signature"
_COMPONENTS: Final = (_CREDENTIAL, _SIGNED_HEADERS, _SIGNATURE)
_AS_SDKS_END: Final = b", " + _SIGNATURE + b"="
_SCOPE_PARTS: Final = 5
_REMEMBERED: Final = 1024


class CredentialScope(msgspec.Struct, frozen=True, gc=False):
    """The Credential component: which key signed, and what the signing key was derived for.

    Attributes:
        credential: The component as it came, `KEY/DATE/REGION/SERVICE/aws4_request`.
        text: The same without the access key, as it stands in the string to sign.
        access_key_id: Of the key that claims to have signed.
        date: `YYYYMMDD`.
        region: For example `us-east-1`.
        service: The signing name, for example `sagemaker`.
    """

    credential: bytes
    text: bytes
    access_key_id: str
    date: bytes
    region: bytes
    service: bytes


class SignedHeaders(msgspec.Struct, frozen=True, gc=False):
    """The SignedHeaders component.

    Attributes:
        text: As it came, and as it stands in the canonical request: joined by semicolons.
        names: Lower-case, each once.
    """

    text: bytes
    names: frozenset[bytes]


class Authorization(msgspec.Struct, frozen=True, gc=False):
    """The header's three components.

    Attributes:
        scope: Whose key, for what.
        signed: What the signature covers.
        signature: As claimed: lower-case hex if it is to be right.
    """

    scope: CredentialScope
    signed: SignedHeaders
    signature: bytes


def parse_authorization(header: bytes) -> Authorization:
    """Take the header's value apart.

    Args:
        header: The value as received; components may come in any order, with or without spaces after the commas.

    Raises:
        IncompleteSignatureError: A component is missing, malformed, repeated, unknown or longer than allowed.
    """
    if len(header) > MAX_HEADER_BYTES:
        raise IncompleteSignatureError(f"The Authorization header is longer than {MAX_HEADER_BYTES} bytes.")
    front, found, signature = header.rpartition(_AS_SDKS_END)
    if not found or not signature or b"," in signature:
        components = _components(header, wanted=_COMPONENTS)
        signature = components.pop(_SIGNATURE)
        front = b"%b %b" % (ALGORITHM, b",".join(b"%b=%b" % component for component in components.items()))
    scope, signed = _parsed_front(front)
    return Authorization(scope, signed, signature)


@lru_cache(_REMEMBERED)
def _parsed_front(front: bytes) -> tuple[CredentialScope, SignedHeaders]:
    """What stands before the signature, which one client repeats all day."""
    components = _components(front, wanted=_COMPONENTS[:-1])
    return _parsed_scope(components[_CREDENTIAL]), _parsed_names(components[_SIGNED_HEADERS])


def _components(text: bytes, *, wanted: tuple[bytes, ...]) -> dict[bytes, bytes]:
    algorithm, _, rest = text.strip().partition(b" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignatureError(f"The Authorization header's algorithm is not {ALGORITHM.decode()}.")
    found: dict[bytes, bytes] = {}
    for part in rest.split(b","):
        name, _, value = part.strip().partition(b"=")
        if name not in wanted or name in found:
            raise IncompleteSignatureError("The Authorization header repeats a component, or has one that is unknown.")
        found[name] = value
    missing = [name.decode() for name in wanted if not found.get(name)]
    if missing:
        raise IncompleteSignatureError(f"The Authorization header lacks {' and '.join(missing)}.")
    return found


def _parsed_scope(credential: bytes) -> CredentialScope:
    parts = credential.split(b"/")
    if len(parts) != _SCOPE_PARTS or not all(parts) or parts[-1] != TERMINATOR or not credential.isascii():
        raise IncompleteSignatureError("The Credential is not of the form KEY/DATE/REGION/SERVICE/aws4_request.")
    text = credential.partition(b"/")[2]
    return CredentialScope(credential, text, parts[0].decode(), *parts[1:4])


def _parsed_names(text: bytes) -> SignedHeaders:
    names = text.split(b";")
    if text != text.lower() or names != sorted(set(names)) or not names[0]:
        raise IncompleteSignatureError("SignedHeaders are not lower-case names, sorted, each once.")
    return SignedHeaders(text, frozenset(names))
