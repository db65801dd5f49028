"""AWS JSON 1.1: `POST /`, the operation in `X-Amz-Target`, JSON bodies.

Source: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html. SageMaker and KMS speak it. An operation
without an output shape is answered with 200 and no body at all, as SageMaker does.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from edgepack.contract.shapes import Shape
from edgepack.contract.validation import decode_request
from edgepack.errors import SerializationError, UnknownOperationError
from edgepack.service.operations import Operations
from edgepack.wire.errors import JSON_1_1, Fault, json_error
from edgepack.wire.messages import Request, Response
from edgepack.wire.served import Served, served_by, shown, unknown_operation

SERVICES: Final[Mapping[str, str]] = {"SageMaker": "sagemaker", "TrentService": "kms"}
"""Services by the prefix of their targets. Each is its own signing name."""

_encode = msgspec.json.Encoder().encode


class Json11:
    """The protocol, for all services in `SERVICES`.

    Args:
        operations: The handlers.
    """

    def __init__(self, operations: Operations) -> None:
        self._served = {service: served_by(service, operations) for service in SERVICES.values()}
        self._targets = {
            f"{prefix}.{name}".encode(): served
            for prefix, service in SERVICES.items()
            for name, served in self._served[service].items()
        }
        self._signing_names = {prefix.encode(): frozenset({name.encode()}) for prefix, name in SERVICES.items()}

    def services(self, request: Request) -> frozenset[bytes] | None:
        """See `WireProtocol`: the target's service."""
        return self._signing_names.get(request.headers[b"x-amz-target"].partition(b".")[0])

    def read(self, request: Request, body: bytes) -> tuple[Served, Any]:
        """See `WireProtocol`."""
        headers = request.headers
        served = self._targets.get(headers[b"x-amz-target"])
        if served is None or request.method != "POST":
            raise self._unknown(request)
        if headers.get(b"content-type") != JSON_1_1:
            _check_content_type(headers.get(b"content-type", b""))
        return served, decode_request(body, served.request)

    def answer(self, served: Served, result: Shape | msgspec.Raw | None, request_id: bytes) -> Response:  # noqa: ARG002
        """See `WireProtocol`."""
        return Response(b"" if result is None else _encode(result), JSON_1_1)

    def refuse(self, fault: Fault, request_id: bytes) -> Response:  # noqa: ARG002
        """See `WireProtocol`."""
        return json_error(fault)

    def _unknown(self, request: Request) -> UnknownOperationError:
        target = request.headers[b"x-amz-target"].decode("ascii", "backslashreplace")
        if request.method != "POST":
            return UnknownOperationError(f"X-Amz-Target goes with POST, not with {request.method}.")
        prefix, _, name = target.partition(".")
        service = SERVICES.get(prefix)
        if service is None:
            known = " and ".join(f"{each}.*" for each in SERVICES)
            return UnknownOperationError(f"X-Amz-Target is {shown(target)}; the targets known here are {known}.")
        return unknown_operation(service, name, self._served[service])


def _check_content_type(value: bytes) -> None:
    media_type = value.partition(b";")[0].strip().lower()
    if media_type != JSON_1_1:
        sent = shown(value.decode("ascii", "backslashreplace"))
        raise SerializationError(f"Content-Type is {sent}; with X-Amz-Target it must be {JSON_1_1.decode()}.")
