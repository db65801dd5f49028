"""Which operations are served, and what to say of the others."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from edgepack.contract.operations import KNOWN_OPERATIONS, OPERATIONS
from edgepack.contract.shapes import Shape
from edgepack.errors import UnknownOperationError
from edgepack.service.operations import Handler, Operations
from edgepack.wire.errors import Fault
from edgepack.wire.messages import Request, Response

SERVICE_TITLES: Final[Mapping[str, str]] = {
    "sagemaker": "Amazon SageMaker",
    "sagemaker-edge": "Amazon SageMaker Edge",
    "greengrassv2": "AWS IoT Greengrass V2",
    "kms": "AWS KMS",
    "sts": "AWS STS",
}
"""The services that `edgepack env` points at this server, whether or not any of their operations are served yet."""


MAX_SHOWN: Final = 100
"""Characters of a caller's text that a message repeats."""


class Served(msgspec.Struct, frozen=True):
    """One operation that is served.

    Attributes:
        name: As AWS names it.
        request: The shape of its request.
        handler: What carries it out.
    """

    name: str
    request: type[Shape]
    handler: Handler


class WireProtocol(Protocol):
    """One way to write requests, answers and errors."""

    def services(self, request: Request) -> frozenset[bytes] | None:
        """The signing names that a request may be signed for; None for any, where nothing will be done with it."""
        ...

    def read(self, request: Request, body: bytes) -> tuple[Served, Any]:
        """The operation and its decoded request.

        Raises:
            UnknownOperationError: The operation does not exist, or is not served.
            SerializationError: The body is not of the protocol's form.
            ValidationError: The body breaks the contract.
        """
        ...

    def answer(self, served: Served, result: Shape | msgspec.Raw | None, request_id: bytes) -> Response:
        """What the handler returned, as the protocol writes it."""
        ...

    def refuse(self, fault: Fault, request_id: bytes) -> Response:
        """An error, as the protocol writes it."""
        ...


def served_by(service: str, operations: Operations) -> dict[str, Served]:
    """The operations of one service that have handlers, by name.

    Args:
        service: The service's name in the contract, for example `sagemaker`.
        operations: All handlers; each must be named in the contract.
    """
    return {
        name: Served(name, OPERATIONS[name].request, handler)
        for name, handler in sorted(operations.items())
        if OPERATIONS[name].service == service
    }


def unknown_operation(service: str, name: str, served: Iterable[str]) -> UnknownOperationError:
    """The error for an operation that is not served: AWS has it, or nobody does.

    Args:
        service: The service that the request is for.
        name: What the request calls the operation.
        served: The names of that service's operations that are served.
    """
    title = SERVICE_TITLES[service]
    advice = f"Served of {title}: {', '.join(sorted(served)) or 'nothing yet'}."
    if name in KNOWN_OPERATIONS[service]:
        return UnknownOperationError(
            f"{title} has the operation {name}, but it is not implemented here.", advice=advice
        )
    return UnknownOperationError(f"{title} has no operation {shown(name)}.", advice=advice)


def shown(text: str) -> str:
    """A caller's text for a message: quoted, printable, and not longer than any name is."""
    return ascii(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "...")
