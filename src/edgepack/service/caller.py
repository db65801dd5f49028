"""Who is calling, as the wire has proven it, and the credentials that it proves it with."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated sender of one request; every operation is carried out in its account and region.

    Attributes:
        account_id: 12 digits; resources of other accounts do not exist for this caller.
        region: The region that the request was signed for, which is the server's.
        arn: The caller's identity as `GetCallerIdentity` reports it.
        user_id: Its unique id, likewise.
        access_key_id: The key that signed the request. An identifier, not a secret.
    """

    account_id: str
    region: str
    arn: str
    user_id: str
    access_key_id: str


@dataclass(frozen=True, slots=True)
class Credential:
    """An active access key as the database knows it.

    Attributes:
        access_key_id: `AKIA…` for a long-term key, `ASIA…` for a temporary one.
        secret: The secret access key's bytes; never shown in a repr.
        account_id: The account that the key belongs to, 12 digits.
        arn: The identity that it stands for.
        user_id: Its unique id.
        token_sha256: SHA-256 of the session token (32 bytes); None for a long-term key.
        expires_at: Epoch seconds after which the key is refused; None for a long-term key.
    """

    access_key_id: str
    secret: bytes = field(repr=False)
    account_id: str
    arn: str
    user_id: str
    token_sha256: bytes | None = field(default=None, repr=False)
    expires_at: float | None = None
