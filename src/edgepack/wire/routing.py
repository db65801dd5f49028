"""Routes of the REST protocols: by method and path, with labels as in the services' models."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

import msgspec

_GREEDY: Final = "+}"


class Route(msgspec.Struct, frozen=True):
    """One operation's place.

    Attributes:
        method: Upper-case.
        template: For example `/greengrass/v2/components/{arn}/artifacts/{artifactName+}`: a label in braces stands for
            one segment, one that ends in a plus for one or more.
        operation: The operation's name.
    """

    method: str
    template: str
    operation: str


class Match(msgspec.Struct, frozen=True):
    """A route, and what its labels stand for in one request.

    Attributes:
        route: The route.
        labels: Values by label, percent-decoded.
    """

    route: Route
    labels: dict[str, str]


class Router:
    """Finds routes; the first that matches wins.

    Args:
        routes: All of them.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route, route.template.split("/")) for route in routes]

    def find(self, method: str, path: bytes) -> Match | None:
        """The route of a request, or None.

        Args:
            method: Upper-case.
            path: As received: percent-encoded.
        """
        segments = path.decode("ascii", "backslashreplace").split("/")
        for route, template in self._routes:
            if route.method == method and (labels := _labels(template, segments)) is not None:
                return Match(route, labels)
        return None


def _labels(template: list[str], segments: list[str]) -> dict[str, str] | None:
    if template[-1].endswith(_GREEDY) and len(segments) > len(template):
        segments = [*segments[: len(template) - 1], "/".join(segments[len(template) - 1 :])]
    if len(segments) != len(template):
        return None
    labels: dict[str, str] = {}
    for expected, segment in zip(template, segments, strict=True):
        if expected.startswith("{") and segment:
            labels[expected.strip("{+}")] = unquote(segment)
        elif expected != segment:
            return None
    return labels
