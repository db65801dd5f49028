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

MAX_CREDENTIAL_BYTES: Final = 256
"""Length of the Credential component: AWS limits an access key id to 128 characters; the rest are short names."""

MAX_SIGNED_HEADERS_BYTES: Final = 4096
"""Length of the SignedHeaders component, about a hundred header names."""

_CREDENTIAL: Final = b"Credential="
_SIGNED_HEADERS: Final = b"SignedHeaders="
_SIGNATURE: Final = b"Signature="
_AS_SDKS_BEGIN: Final = ALGORITHM + b" " + _CREDENTIAL
_COMPONENTS: Final = (_CREDENTIAL, _SIGNED_HEADERS, _SIGNATURE)
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
    parts = header.split(b", ")
    if (
        len(parts) == len(_COMPONENTS)
        and parts[0].startswith(_AS_SDKS_BEGIN)
        and parts[1].startswith(_SIGNED_HEADERS)
        and parts[2].startswith(_SIGNATURE)
    ):
        credential = parts[0][len(_AS_SDKS_BEGIN) :]
        signed = parts[1][len(_SIGNED_HEADERS) :]
        signature = parts[2][len(_SIGNATURE) :]
    else:
        credential, signed, signature = _components_of_any_order(header)
    if len(credential) > MAX_CREDENTIAL_BYTES:
        raise IncompleteSignatureError(f"The Credential is longer than {MAX_CREDENTIAL_BYTES} bytes.")
    if len(signed) > MAX_SIGNED_HEADERS_BYTES:
        raise IncompleteSignatureError(f"SignedHeaders is longer than {MAX_SIGNED_HEADERS_BYTES} bytes.")
    return Authorization(_parsed_scope(credential), _parsed_names(signed), signature)


def _components_of_any_order(header: bytes) -> tuple[bytes, bytes, bytes]:
    algorithm, _, rest = header.strip().partition(b" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignatureError(f"The Authorization header's algorithm is not {ALGORITHM.decode()}.")
    found: dict[bytes, bytes] = {}
    for part in rest.split(b","):
        name, equals, value = part.strip().partition(b"=")
        if name + equals not in _COMPONENTS or name + equals in found:
            raise IncompleteSignatureError("The Authorization header repeats a component, or has one that is unknown.")
        found[name + equals] = value
    missing = [name.decode().rstrip("=") for name in _COMPONENTS if not found.get(name)]
    if missing:
        raise IncompleteSignatureError(f"The Authorization header lacks {' and '.join(missing)}.")
    return found[_CREDENTIAL], found[_SIGNED_HEADERS], found[_SIGNATURE]


@lru_cache(_REMEMBERED)
def _parsed_scope(credential: bytes) -> CredentialScope:
    parts = credential.split(b"/")
    if len(parts) != _SCOPE_PARTS or not all(parts) or parts[-1] != TERMINATOR or not credential.isascii():
        raise IncompleteSignatureError("The Credential is not of the form KEY/DATE/REGION/SERVICE/aws4_request.")
    text = credential.partition(b"/")[2]
    return CredentialScope(credential, text, parts[0].decode(), *parts[1:4])


@lru_cache(_REMEMBERED)
def _parsed_names(text: bytes) -> SignedHeaders:
    names = text.split(b";")
    if text != text.lower() or names != sorted(set(names)) or not names[0]:
        raise IncompleteSignatureError("SignedHeaders are not lower-case names, sorted, each once.")
    return SignedHeaders(text, frozenset(names))
