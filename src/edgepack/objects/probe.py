"""Is the store there? For the embedded one by a signed request without an SDK: does it really answer its own users yet?

The process that starts it need not do anything else with S3, and an SDK client would cost it 0.3 s and 50 MB.
Signature Version 4: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import datetime as dt
import hashlib
import hmac
import http.client
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from edgepack.errors import StateError
from edgepack.objects.ports import LOOPBACK
from edgepack.objects.weed_settings import StoreCredential

CONNECT_SECONDS: Final = 5.0
"""How long a connection to somebody else's store may take."""

PROBE_SECONDS: Final = 2.0
"""How long one answer may take."""

_EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()
_SIGNED: Final = "host;x-amz-content-sha256;x-amz-date"


def require_reachable(endpoint: str) -> None:
    """See that something listens at an S3 endpoint, before jobs are told that they can be run.

    Raises:
        StateError: Nothing does.
    """
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise StateError(
            f"The S3 endpoint {endpoint} cannot be reached: {error.strerror or error}.",
            advice="Start the object store first, and check --s3-endpoint.",
        ) from error


def require_answering(endpoint: str) -> None:
    """See that an S3 endpoint answers a request, whatever it says: nothing is signed, so most say no.

    Its certificate is not looked at: nothing is told and nothing believed here, and jobs look at it.

    Raises:
        StateError: It does not, or says that it failed.
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=PROBE_SECONDS, context=_unverified())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=PROBE_SECONDS)
    )
    try:
        connection.request("HEAD", "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise StateError("The object store does not answer.") from error
    finally:
        connection.close()
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        raise StateError(f"The object store answers {status}.")


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def sign_list_buckets(host: str, credential: StoreCredential, *, region: str, now: dt.datetime) -> dict[str, str]:
    """The headers of a signed ListBuckets request (``GET /``).

    Args:
        host: Value of the Host header.
        credential: Who asks.
        region: Region to sign for.
        now: The present, with a time zone.
    """
    stamp = now.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": host, "x-amz-content-sha256": _EMPTY_SHA256, "x-amz-date": stamp}
    lines = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    canonical = f"GET\n/\n\n{lines}\n{_SIGNED}\n{_EMPTY_SHA256}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credential.secret_key}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credential.access_key}/{scope}, SignedHeaders={_SIGNED}, Signature={signature}"
    )
    return {**headers, "authorization": authorization}


def answers(port: int, credential: StoreCredential, *, region: str) -> bool:
    """Whether an S3 server on this machine accepts the credential at this moment.

    Args:
        port: Its port on the loopback interface.
        credential: A user it should know.
        region: Region to sign for.
    """
    host = f"{LOOPBACK}:{port}"
    headers = sign_list_buckets(host, credential, region=region, now=dt.datetime.now(dt.UTC))
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
