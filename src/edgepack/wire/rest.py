"""REST JSON, and every path that belongs to nothing: the operation is in the method and the path.

Source: https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html. SageMaker Edge and Greengrass V2 speak it.
Their routes are listed so that a client which `edgepack env` points here is told what it called. To serve one of them,
give it a handler and have `RestJson.read` build its request from the match's labels, the query and the body.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from edgepack.contract.shapes import Shape
from edgepack.errors import UnknownOperationError
from edgepack.wire.errors import REST_JSON, Fault, json_error
from edgepack.wire.messages import Request, Response
from edgepack.wire.routing import Route, Router
from edgepack.wire.served import Served, shown, unknown_operation

NOT_FOUND: Final = 404

_CORE_DEVICE: Final = "/greengrass/v2/coreDevices/{coreDeviceThingName}"
_COMPONENT: Final = "/greengrass/v2/components/{arn}"
_DEPLOYMENT: Final = "/greengrass/v2/deployments/{deploymentId}"
_CONNECTIVITY: Final = "/greengrass/things/{thingName}/connectivityInfo"
_SERVICE_ROLE: Final = "/greengrass/servicerole"
_TAGS: Final = "/tags/{resourceArn}"

ROUTES: Final[Mapping[str, tuple[Route, ...]]] = MappingProxyType(
    {
        "sagemaker-edge": (
            Route("POST", "/GetDeployments", "GetDeployments"),
            Route("POST", "/GetDeviceRegistration", "GetDeviceRegistration"),
            Route("POST", "/SendHeartbeat", "SendHeartbeat"),
        ),
        "greengrassv2": (
            Route("PUT", _SERVICE_ROLE, "AssociateServiceRoleToAccount"),
            Route("GET", _SERVICE_ROLE, "GetServiceRoleForAccount"),
            Route("DELETE", _SERVICE_ROLE, "DisassociateServiceRoleFromAccount"),
            Route("POST", f"{_CORE_DEVICE}/associateClientDevices", "BatchAssociateClientDeviceWithCoreDevice"),
            Route("POST", f"{_CORE_DEVICE}/disassociateClientDevices", "BatchDisassociateClientDeviceFromCoreDevice"),
            Route("GET", f"{_CORE_DEVICE}/associatedClientDevices", "ListClientDevicesAssociatedWithCoreDevice"),
            Route("GET", f"{_CORE_DEVICE}/effectiveDeployments", "ListEffectiveDeployments"),
            Route("GET", f"{_CORE_DEVICE}/installedComponents", "ListInstalledComponents"),
            Route("GET", _CORE_DEVICE, "GetCoreDevice"),
            Route("DELETE", _CORE_DEVICE, "DeleteCoreDevice"),
            Route("GET", "/greengrass/v2/coreDevices", "ListCoreDevices"),
            Route("POST", f"{_DEPLOYMENT}/cancel", "CancelDeployment"),
            Route("GET", _DEPLOYMENT, "GetDeployment"),
            Route("DELETE", _DEPLOYMENT, "DeleteDeployment"),
            Route("POST", "/greengrass/v2/deployments", "CreateDeployment"),
            Route("GET", "/greengrass/v2/deployments", "ListDeployments"),
            Route("POST", "/greengrass/v2/createComponentVersion", "CreateComponentVersion"),
            Route("POST", "/greengrass/v2/resolveComponentCandidates", "ResolveComponentCandidates"),
            Route("GET", "/greengrass/v2/components", "ListComponents"),
            Route("GET", _COMPONENT, "GetComponent"),
            Route("DELETE", _COMPONENT, "DeleteComponent"),
            Route("GET", f"{_COMPONENT}/metadata", "DescribeComponent"),
            Route("GET", f"{_COMPONENT}/versions", "ListComponentVersions"),
            Route("GET", f"{_COMPONENT}/artifacts/{{artifactName+}}", "GetComponentVersionArtifact"),
            Route("GET", _CONNECTIVITY, "GetConnectivityInfo"),
            Route("PUT", _CONNECTIVITY, "UpdateConnectivityInfo"),
            Route("GET", _TAGS, "ListTagsForResource"),
            Route("POST", _TAGS, "TagResource"),
            Route("DELETE", _TAGS, "UntagResource"),
        ),
    }
)
"""Every route of the services' models, by service."""

SIGNING_NAMES: Final[Mapping[str, bytes]] = MappingProxyType(
    {"sagemaker-edge": b"sagemaker", "greengrassv2": b"greengrass"}
)
"""What requests of these services are signed for."""


class RestJson:
    """The protocol, for all services in `ROUTES`, and for what belongs to no protocol."""

    def __init__(self) -> None:
        self._router = Router(route for routes in ROUTES.values() for route in routes)
        self._service = {route: service for service, routes in ROUTES.items() for route in routes}

    def services(self, request: Request) -> frozenset[bytes] | None:
        """See `WireProtocol`."""
        match = self._router.find(request.method, request.path)
        return None if match is None else frozenset({SIGNING_NAMES[self._service[match.route]]})

    def read(self, request: Request, body: bytes) -> tuple[Served, Any]:  # noqa: ARG002
        """See `WireProtocol`. No route has a handler yet."""
        match = self._router.find(request.method, request.path)
        if match is not None:
            raise unknown_operation(self._service[match.route], match.route.operation, served=())
        raise UnknownOperationError(
            f"Nothing is served at {request.method} {shown(request.path.decode('ascii', 'backslashreplace'))}.",
            advice="SageMaker is served at POST / with X-Amz-Target, STS at POST / with a form body.",
        )

    def answer(self, served: Served, result: Shape | msgspec.Raw | None, request_id: bytes) -> Response:  # noqa: ARG002
        """See `WireProtocol`."""
        return Response(b"{}" if result is None else msgspec.json.encode(result), REST_JSON)

    def refuse(self, fault: Fault, request_id: bytes) -> Response:  # noqa: ARG002
        """See `WireProtocol`. An unknown operation is an unknown path here, hence 404."""
        if fault.code == UnknownOperationError.code:
            fault = msgspec.structs.replace(fault, status=NOT_FOUND)
        return json_error(fault, REST_JSON)
