"""Who sent a request: the look-up of access keys, and the signing keys derived from them, kept for a few seconds."""

from collections.abc import Callable
from hashlib import sha256
from hmac import HMAC, compare_digest
from typing import Final

import msgspec

from edgepack.errors import ExpiredTokenError, UnrecognizedClientError
from edgepack.service.caller import Caller, Credential
from edgepack.wire import sigv4
from edgepack.wire.authorization import Authorization, CredentialScope
from edgepack.wire.messages import Request
from edgepack.wire.threads import Threads

KEY_LIFETIME_SECONDS: Final = 2.0
"""How long a derived key is used before the access key is looked up again: a revoked key works no longer than this."""

MAX_KEYS: Final = 1024
"""Derived keys held at once; the oldest goes first."""

LOOKUP_THREADS: Final = 4
"""Threads for look-ups that wait, apart from the handlers' ones, so that waiting handlers cannot lock callers out."""

CredentialLookup = Callable[[str], Credential | None]
"""Finds an active access key by its id; None if there is none."""


class VerifyingKey(msgspec.Struct, frozen=True):
    """A signing key and whom it stands for.

    Attributes:
        key: Derived for one access key, date, region and service.
        caller: The key's owner.
        token_sha256: SHA-256 of the session token that must come along; None if none may.
        expires_at: Epoch seconds from which the credential is refused; None for never.
        made_at: Epoch seconds at which the access key was looked up.
    """

    key: HMAC
    caller: Caller
    token_sha256: bytes | None
    expires_at: float | None
    made_at: float

    def __repr__(self) -> str:
        return f"VerifyingKey({self.caller.access_key_id})"


class Authenticator:
    """Proves who sent a request.

    Args:
        lookup: Finds access keys.
        inline: Whether it never waits, and runs on the event loop: then nobody who sends unknown keys by the hundred
            can make others wait for a thread. Otherwise it runs in one.
        region: The region that requests must be signed for.
        clock: Epoch seconds.
    """

    def __init__(self, lookup: CredentialLookup, *, inline: bool, region: str, clock: Callable[[], float]) -> None:
        self._lookup = lookup
        self._inline = inline
        self._threads = Threads("edgepack-lookup", count=LOOKUP_THREADS)
        self._region = region
        self._region_bytes = region.encode()
        self._clock = clock
        self._keys: dict[bytes, VerifyingKey] = {}

    def examine(self, request: Request, services: frozenset[bytes] | None) -> Authorization:
        """Check what can be checked before a byte of the body is read; see `sigv4.examine` for what it raises."""
        return sigv4.examine(request, now=self._clock(), region=self._region_bytes, services=services)

    def known_key(self, scope: CredentialScope) -> VerifyingKey | None:
        """The key for a scope, if it was looked up not long ago."""
        key = self._keys.get(scope.credential)
        # Not one from the future either, as after the clock was set back: a revoked key could outlive its seconds.
        if key is None or not 0 <= self._clock() - key.made_at < KEY_LIFETIME_SECONDS:
            return None
        return key

    async def look_up(self, scope: CredentialScope) -> VerifyingKey:
        """Look a key up and derive what is needed of it.

        Raises:
            UnrecognizedClientError: The access key is not known.
        """
        now, key_id = self._clock(), scope.access_key_id
        credential = self._lookup(key_id) if self._inline else await self._threads.run(self._lookup, key_id)
        if credential is None:
            self._keys.pop(scope.credential, None)
            raise UnrecognizedClientError(
                f"The access key {key_id} is not known here.",
                advice="`edgepack env` prints the one that the first start created.",
            )
        key = VerifyingKey(
            key=sigv4.derive_key(credential.secret, scope),
            caller=self._caller(credential),
            token_sha256=credential.token_sha256,
            expires_at=credential.expires_at,
            made_at=now,
        )
        self._remember(scope.credential, key)
        return key

    def prove(self, claim: Authorization, request: Request, body: bytes, *, key: VerifyingKey) -> Caller:
        """Check the signature itself.

        Args:
            claim: From `examine` of the same request.
            request: The head as received.
            body: The whole body as received.
            key: The key for the claim's scope.

        Raises:
            InvalidSignatureError: The signature is not the access key's for this request.
            UnrecognizedClientError: The session token that came along is not the access key's.
            ExpiredTokenError: The credential has expired.
        """
        sigv4.check_signature(claim, request, body, key=key.key)
        _check_token(key, request.headers.get(b"x-amz-security-token"))
        if key.expires_at is not None and self._clock() >= key.expires_at:
            raise ExpiredTokenError("The temporary credentials have expired.", advice="Assume the role again.")
        return key.caller

    def close(self) -> None:
        """Release the threads."""
        self._threads.close()

    def _remember(self, credential: bytes, key: VerifyingKey) -> None:
        self._keys.pop(credential, None)
        while len(self._keys) >= MAX_KEYS:
            del self._keys[next(iter(self._keys))]
        self._keys[credential] = key

    def _caller(self, credential: Credential) -> Caller:
        return Caller(
            account_id=credential.account_id,
            region=self._region,
            arn=credential.arn,
            user_id=credential.user_id,
            access_key_id=credential.access_key_id,
        )


def _check_token(key: VerifyingKey, token: bytes | None) -> None:
    expected = key.token_sha256
    if expected is None and token is None:
        return
    if expected is None or token is None or not compare_digest(sha256(token).digest(), expected):
        raise UnrecognizedClientError(
            "The session token is not the access key's, or one of the two came without the other.",
            advice="Use the access key, secret and session token of one AssumeRole answer together.",
        )
