"""The one place where errors become AWS error bodies: which status, which code, which words, in which protocol.

Sources: each service's "Common Errors" page (for example
https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html), the AWS JSON 1.1, REST JSON and query
protocols of https://smithy.io/2.0/aws/protocols/, and what botocore's parsers take the code and the message from.
"""

import logging
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import escape

import msgspec

from edgepack.errors import EdgepackError, StateError, ThrottlingError
from edgepack.wire.messages import Response

JSON_1_1: Final = b"application/x-amz-json-1.1"
REST_JSON: Final = b"application/json"
XML: Final = b"text/xml"

BAD_REQUEST: Final = 400
INTERNAL_FAILURE: Final = 500
SERVICE_UNAVAILABLE: Final = 503
UNAVAILABLE: Final = "ServiceUnavailable"

STATUS_BY_CODE: Final[Mapping[str, int]] = MappingProxyType(
    {
        "MissingAuthenticationTokenException": 403,
        "InvalidSignatureException": 403,
        "UnrecognizedClientException": 403,
        "ExpiredTokenException": 403,
        "AccessDeniedException": 403,
        "RequestEntityTooLargeException": 413,
    }
)
"""Every other code of the caller's errors is answered with 400: the request is wrong as it stands."""

QUERY_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MissingAuthenticationTokenException": "MissingAuthenticationToken",
        "IncompleteSignatureException": "IncompleteSignature",
        "InvalidSignatureException": "SignatureDoesNotMatch",
        "UnrecognizedClientException": "InvalidClientTokenId",
        "ExpiredTokenException": "ExpiredToken",
        "AccessDeniedException": "AccessDenied",
        "ThrottlingException": "Throttling",
        "UnknownOperationException": "InvalidAction",
        "ValidationException": "ValidationError",
        "SerializationException": "MalformedInput",
    }
)
"""The query protocol's older names of the same errors; the others keep theirs."""

RETRY_AFTER_SECONDS: Final = b"1"
"""Sent with throttling and unavailability; SDKs back off by themselves, plain HTTP clients go by this."""

_NOT_IN_XML: Final = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""https://www.w3.org/TR/xml/#charsets, but for the carriage return, which parsers would turn into a line feed."""

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Fault(msgspec.Struct, frozen=True):
    """An error as the caller may see it.

    Attributes:
        status: The HTTP status code.
        code: What programs match on.
        message: What a person reads.
        retry: Whether the same request may succeed in a moment.
    """

    status: int
    code: str
    message: str
    retry: bool = False


def fault_of(error: Exception, request_id: bytes) -> Fault:
    """What to tell the caller about an error; what it must not see is logged instead, under the request's id.

    Args:
        error: Anything that was raised while the request was served.
        request_id: The id that the answer carries.
    """
    if isinstance(error, EdgepackError) and not isinstance(error, StateError):
        status = STATUS_BY_CODE.get(error.code, BAD_REQUEST)
        return Fault(status, error.code, error.diagnostics(), retry=isinstance(error, ThrottlingError))
    reference = request_id.decode()
    where = f"Its operator finds the cause in the log under {reference}."
    if isinstance(error, StateError) and error.code == UNAVAILABLE:
        # One line: whoever asks while the database is away, and asks again, must not fill the disk with tracebacks.
        _log.error("request %s failed: %s", reference, error.message)
        return Fault(SERVICE_UNAVAILABLE, UNAVAILABLE, f"The server cannot do this at the moment. {where}", retry=True)
    _log.error("request %s failed", reference, exc_info=error)
    return Fault(INTERNAL_FAILURE, "InternalFailure", f"The server failed on this request. {where}")


def json_error(fault: Fault, content_type: bytes = JSON_1_1) -> Response:
    """The body of the JSON protocols, with the code also in the header that REST JSON clients read it from."""
    return Response(
        body=_encode({"__type": fault.code, "message": fault.message}),
        content_type=content_type,
        status=fault.status,
        headers=((b"x-amzn-errortype", fault.code.encode()), *_retry_after(fault)),
    )


def query_error(fault: Fault, request_id: bytes, namespace: str) -> Response:
    """The XML body of the query protocol.

    Args:
        fault: What to tell.
        request_id: The id that the answer carries, which this protocol repeats in its body.
        namespace: The service's XML namespace.
    """
    code = QUERY_CODES.get(fault.code, fault.code)
    side = "Receiver" if fault.status >= INTERNAL_FAILURE else "Sender"
    body = (
        f'<ErrorResponse xmlns="{namespace}"><Error><Type>{side}</Type><Code>{escape(code)}</Code>'
        f"<Message>{escape_text(fault.message)}</Message></Error><RequestId>{request_id.decode()}</RequestId></ErrorResponse>"
    )
    return Response(body.encode(), XML, fault.status, _retry_after(fault))


def escape_text(text: str) -> str:
    """Text for an XML element: escaped, and without the characters that XML 1.0 cannot carry in any form."""
    return escape(_NOT_IN_XML.sub("\ufffd", text))


def _retry_after(fault: Fault) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"retry-after", RETRY_AFTER_SECONDS),) if fault.retry else ()
