"""The AWS query protocol: `POST /` with a form body that names the operation in `Action`; XML answers.

Source: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html. The Security Token Service speaks it. Lists are
`Name.member.N`, structures `Name.Member`.
"""

from datetime import UTC, datetime
from typing import Any, Final, get_args, get_origin
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import msgspec

from edgepack.contract.shapes import Shape
from edgepack.contract.validation import check_request
from edgepack.errors import SerializationError, UnknownOperationError
from edgepack.service.operations import Operations
from edgepack.wire.errors import XML, Fault, escape_text, query_error
from edgepack.wire.messages import Request, Response
from edgepack.wire.served import Served, served_by, shown, unknown_operation

FORM: Final = b"application/x-www-form-urlencoded"
STS_VERSION: Final = "2011-06-15"
STS_NAMESPACE: Final = f"https://sts.amazonaws.com/doc/{STS_VERSION}/"

MAX_FIELDS: Final = 1000
"""Fields of one form; AssumeRole with everything at its limit has about 130."""

MAX_DEPTH: Final = 8
"""Parts of a field's name; AssumeRole's deepest has 4 (`Tags.member.1.Key`)."""

MAX_INDEX_DIGITS: Final = len(str(MAX_FIELDS))
"""Digits of a list member's number: there are no more of them than fields."""

_LIST_MARK: Final = "member"
_SIGNING_NAMES: Final = frozenset({b"sts"})

Members = dict[str, Any]


class Query:
    """The protocol, for the Security Token Service.

    Args:
        operations: The handlers.
    """

    def __init__(self, operations: Operations) -> None:
        self._served = served_by("sts", operations)

    def services(self, request: Request) -> frozenset[bytes] | None:  # noqa: ARG002
        """See `WireProtocol`."""
        return _SIGNING_NAMES

    def read(self, request: Request, body: bytes) -> tuple[Served, Any]:  # noqa: ARG002
        """See `WireProtocol`."""
        fields = _fields(body)
        action, version = fields.pop("Action", ""), fields.pop("Version", "")
        if version != STS_VERSION:
            raise UnknownOperationError(f"The Version is {shown(version)}; the one served here is {STS_VERSION}.")
        served = self._served.get(action)
        if served is None:
            raise unknown_operation("sts", action, self._served)
        members = _nested(fields)
        # botocore writes an empty list as an empty field.
        for name in _list_members(served.request):
            if members.get(name) == "":
                members[name] = []
        return served, check_request(members, served.request)

    def answer(self, served: Served, result: Shape | msgspec.Raw | None, request_id: bytes) -> Response:
        """See `WireProtocol`.

        Raises:
            TypeError: The handler returned encoded JSON, which this protocol cannot send: a mistake of ours.
        """
        if isinstance(result, msgspec.Raw):
            raise TypeError(f"{served.name} returned encoded JSON to the query protocol.")
        content = "" if result is None else _xml(msgspec.to_builtins(result))
        name = served.name
        body = (
            f'<{name}Response xmlns="{STS_NAMESPACE}"><{name}Result>{content}</{name}Result>'
            f"<ResponseMetadata><RequestId>{request_id.decode()}</RequestId></ResponseMetadata></{name}Response>"
        )
        return Response(body.encode(), XML)

    def refuse(self, fault: Fault, request_id: bytes) -> Response:
        """See `WireProtocol`."""
        return query_error(fault, request_id, STS_NAMESPACE)


def _fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise SerializationError(f"The body is not an encoded form: {_reason(error)}.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise SerializationError("The form has a field twice.")
    return fields


def _reason(error: ValueError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeError) else str(error)[:MAX_FIELDS]


def _nested(fields: dict[str, str]) -> Members:
    """Members by name: structures as mappings, lists as lists, leaves as the text that came."""
    tree: Members = {}
    for name, value in fields.items():
        *branches, leaf = name.split(".")
        if len(branches) >= MAX_DEPTH:
            raise SerializationError(f"The field {shown(name)} has more than {MAX_DEPTH} parts.")
        node = tree
        for branch in branches:
            node = node.setdefault(branch, {})
            if not isinstance(node, dict):
                raise SerializationError(f"The field {shown(name)} contradicts another one.")
        if leaf in node:
            raise SerializationError(f"The field {shown(name)} contradicts another one.")
        node[leaf] = value
    return {name: _with_lists(node) for name, node in tree.items()}


def _with_lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if set(node) == {_LIST_MARK} and isinstance(node[_LIST_MARK], dict):
        items = node[_LIST_MARK]
        if not all(key.isascii() and key.isdigit() and len(key) <= MAX_INDEX_DIGITS for key in items):
            raise SerializationError("A list's members are not numbered.")
        return [_with_lists(items[key]) for key in sorted(items, key=int)]
    return {name: _with_lists(value) for name, value in node.items()}


def _list_members(shape: type[Shape]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(shape) if _is_list(field.type)]


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in {list, tuple} or any(_is_list(part) for part in get_args(annotation))


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{escape(name)}>{_xml(member)}</{escape(name)}>" for name, member in value.items())
    if isinstance(value, list | tuple):
        return "".join(f"<{_LIST_MARK}>{_xml(item)}</{_LIST_MARK}>" for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # The contract's only floats are timestamps, which this protocol writes as ISO 8601.
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return escape_text(str(value))
