"""Access keys and principal ids in the forms that AWS gives them.

Prefixes and lengths: IAM user guide, "IAM identifiers" (unique identifiers); IAM API reference, `AccessKey`; STS API
reference, `Credentials`.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field

SECRET_SIZE = 30
"""Random bytes of a secret access key: 240 bits, 40 characters in base64, as long as those of AWS."""

SESSION_TOKEN_SIZE = 96
"""Random bytes of a session token: 128 characters in base64."""

ACCESS_KEY_ID_TAIL = 16
"""Characters behind an access key id's prefix: 80 bits in base32."""

PRINCIPAL_ID_TAIL = 17
"""Characters behind a principal id's prefix."""


@dataclass(frozen=True, slots=True)
class SessionCredentials:
    """Temporary credentials.

    Attributes:
        access_key_id: Starts with `ASIA`.
        secret_access_key: 40 characters.
        session_token: Opaque; sent along with every request.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)


def new_access_key() -> tuple[str, str]:
    """A long-term access key: its id, which starts with `AKIA`, and its secret."""
    return "AKIA" + _random_text(ACCESS_KEY_ID_TAIL), _new_secret(SECRET_SIZE)


def new_session_credentials() -> SessionCredentials:
    """Temporary credentials; how long they are good for is the issuer's to keep."""
    return SessionCredentials(
        access_key_id="ASIA" + _random_text(ACCESS_KEY_ID_TAIL),
        secret_access_key=_new_secret(SECRET_SIZE),
        session_token=_new_secret(SESSION_TOKEN_SIZE),
    )


def new_user_id() -> str:
    """A user's unique id, which starts with `AIDA`."""
    return "AIDA" + _random_text(PRINCIPAL_ID_TAIL)


def new_role_id(role_arn: str) -> str:
    """A role's unique id, which starts with `AROA`: the same for the same ARN, since roles are not stored here."""
    return "AROA" + _text(hashlib.sha256(role_arn.encode()).digest(), PRINCIPAL_ID_TAIL)


def _random_text(length: int) -> str:
    return _text(secrets.token_bytes(length), length)


def _text(data: bytes, length: int) -> str:
    return base64.b32encode(data).decode("ascii")[:length]


def _new_secret(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode("ascii")
