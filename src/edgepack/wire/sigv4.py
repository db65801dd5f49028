"""Verification of AWS Signature Version 4 in the Authorization header: rules only; clock, key and bytes are arguments.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html. The rules, in the order they are checked:

* The Authorization header is complete, and its algorithm is AWS4-HMAC-SHA256.
* The credential scope is of this server's region, the service that the request is for, and the request's own date.
* `X-Amz-Date` is within 15 minutes of the clock.
* `Host` and every `X-Amz-*` header of the request are signed, so that none can be added or changed on the way
  (`X-Amz-Target` names the operation), and every signed header is there.
* The signature covers the SHA-256 of the body that arrived; `X-Amz-Content-SHA256`, where sent, agrees with it.
* The signature is the one that the secret key gives, compared in constant time.
"""

import hmac
from calendar import timegm
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from time import gmtime, strftime, strptime
from typing import Final

from edgepack.errors import (
    IncompleteSignatureError,
    InvalidSignatureError,
    MissingAuthenticationError,
    RequestExpiredError,
)
from edgepack.wire.authorization import (
    ALGORITHM,
    TERMINATOR,
    Authorization,
    CredentialScope,
    SignedHeaders,
    parse_authorization,
)
from edgepack.wire.canonical import canonical_request
from edgepack.wire.messages import Request

MAX_SKEW_SECONDS: Final = 15 * 60
"""How far a request's date may be from the server's clock, either way; AWS's own limit for most services."""

TIMESTAMP_FORMAT: Final = "%Y%m%dT%H%M%SZ"

_DATE_BYTES: Final = len(b"YYYYMMDD")
_REMEMBERED: Final = 1024


def examine(request: Request, *, now: float, region: bytes, services: frozenset[bytes] | None) -> Authorization:
    """Check everything about a signature that needs neither the body nor the key.

    Args:
        request: The head as received.
        now: The server's clock, epoch seconds.
        region: The only region that is accepted.
        services: The signing names that are accepted; None for any.

    Returns:
        What the request claims, to be proven with `check_signature`.

    Raises:
        MissingAuthenticationError: The request is not signed, or is presigned (in its query).
        IncompleteSignatureError: The Authorization header, or `X-Amz-Date`, is missing something or malformed.
        InvalidSignatureError: Signed for another region, service or date, or not covering what it must.
        RequestExpiredError: The date is more than `MAX_SKEW_SECONDS` from `now`.
    """
    headers = request.headers
    header = headers.get(b"authorization")
    if header is None:
        raise _unsigned(request)
    claim = parse_authorization(header)
    scope = claim.scope
    if scope.region != region:
        raise InvalidSignatureError(
            f"The credential scope names the region '{_text(scope.region)}'; this server is '{_text(region)}'."
        )
    if services is not None and scope.service not in services:
        raise _wrong_service(scope, services)
    _check_date(headers, scope, now)
    _require_coverage(headers, claim.signed)
    return claim


def check_signature(claim: Authorization, request: Request, body: bytes, *, key: hmac.HMAC) -> None:
    """Prove a claim.

    Args:
        claim: From `examine` of the same request.
        request: The head as received.
        body: The whole body as received.
        key: From `derive_key` for the claim's scope.

    Raises:
        InvalidSignatureError: The body is not what was signed, or the signature is not the key's.
    """
    headers = request.headers
    payload = sha256(body).hexdigest().encode()
    declared = headers.get(b"x-amz-content-sha256")
    if declared is not None and declared != payload:
        raise _wrong_payload(declared)
    signed = canonical_request(request.method, request.path, request.query, headers, claim.signed.text, payload)
    digest = sha256(signed).hexdigest().encode()
    to_sign = b"\n".join((ALGORITHM, headers[b"x-amz-date"], claim.scope.text, digest))
    expected = key.copy()
    expected.update(to_sign)
    if not hmac.compare_digest(expected.hexdigest().encode(), claim.signature):
        raise InvalidSignatureError(
            "The signature is not the one calculated from this request with the secret of "
            f"access key {claim.scope.access_key_id}.",
            advice="Check the secret access key, and that nothing on the way changes the Host header, path or body.",
        )


def derive_key(secret: bytes, scope: CredentialScope) -> hmac.HMAC:
    """The signing key of one secret for one date, region and service, as an HMAC that has seen no message yet.

    It is copied for each message, which is quicker than making one from the key.
    """
    key = b"AWS4" + secret
    for part in (scope.date, scope.region, scope.service, TERMINATOR):
        key = hmac.digest(key, part, "sha256")
    return hmac.new(key, digestmod="sha256")


def _check_date(headers: Mapping[bytes, bytes], scope: CredentialScope, now: float) -> None:
    date = headers.get(b"x-amz-date")
    if date is None:
        raise IncompleteSignatureError("The request has no X-Amz-Date header.")
    ahead = _epoch(date) - now
    if date[:_DATE_BYTES] != scope.date:
        raise InvalidSignatureError(
            f"The credential scope is of the date '{_text(scope.date)}', but X-Amz-Date is '{_text(date)}'."
        )
    if not -MAX_SKEW_SECONDS <= ahead <= MAX_SKEW_SECONDS:
        raise RequestExpiredError(
            f"{'Signature expired' if ahead < 0 else 'Signature not yet current'}: X-Amz-Date is {_text(date)}, the "
            f"server's clock {strftime(TIMESTAMP_FORMAT, gmtime(now))}; {MAX_SKEW_SECONDS} seconds apart are allowed.",
            advice="Set the client's clock.",
        )


@lru_cache(_REMEMBERED)
def _epoch(date: bytes) -> int:
    """Epoch seconds; remembered because all requests of one second share it, and parsing takes longer than signing."""
    try:
        moment = strptime(date.decode("ascii"), TIMESTAMP_FORMAT)
    except ValueError:
        moment = None
    # strptime takes shortened numbers too; the specification's form has one spelling.
    if moment is None or strftime(TIMESTAMP_FORMAT, moment).encode() != date:
        raise IncompleteSignatureError("X-Amz-Date is not of the form YYYYMMDD'T'HHMMSS'Z'.")
    return timegm(moment)


def _require_coverage(headers: Mapping[bytes, bytes], signed: SignedHeaders) -> None:
    names = signed.names
    if b"host" not in names:
        raise InvalidSignatureError("The signature does not cover the Host header.")
    if not headers.keys() >= names:
        missing = min(names - headers.keys())
        raise InvalidSignatureError(f"The signature covers a header '{_text(missing)}' that the request does not have.")
    for name in headers:
        if name[:6] == b"x-amz-" and name not in names:
            raise InvalidSignatureError(f"The signature does not cover the header '{_text(name)}'.")


def _unsigned(request: Request) -> MissingAuthenticationError:
    if b"X-Amz-Signature=" in request.query or b"X-Amz-Algorithm=" in request.query:
        return MissingAuthenticationError(
            "The request is presigned: its signature is in the query. That form is not served here.",
            advice="Sign in the Authorization header, as the SDKs' clients do.",
        )
    return MissingAuthenticationError("The request is not signed.")


def _wrong_service(scope: CredentialScope, services: frozenset[bytes]) -> InvalidSignatureError:
    wanted = "' or '".join(sorted(map(_text, services)))
    return InvalidSignatureError(
        f"The credential scope names the service '{_text(scope.service)}'; this request must be signed for '{wanted}'."
    )


def _wrong_payload(declared: bytes) -> InvalidSignatureError:
    if declared.startswith((b"UNSIGNED-", b"STREAMING-")):
        return InvalidSignatureError(f"X-Amz-Content-SHA256 is {_text(declared)}; here the body itself must be signed.")
    return InvalidSignatureError("X-Amz-Content-SHA256 is not the SHA-256 of the body that arrived.")


def _text(value: bytes) -> str:
    """Bytes of the caller as something that can be shown in a message."""
    return value.decode("ascii", "backslashreplace")
