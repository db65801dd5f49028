"""What botocore serializes we decode, and what we encode botocore parses, for every operation and any legal value."""

import datetime as dt
from typing import Any, cast
from urllib.parse import urlencode

import msgspec
import pytest
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.aws_models import operation_model
from edgepack.contract.operations import OPERATIONS, Operation
from edgepack.contract.shapes import Shape
from edgepack.contract.validation import check_request, decode_request
from edgepack.service.operations import Handler
from edgepack.wire import query
from edgepack.wire.json11 import Json11
from edgepack.wire.query import Query
from edgepack.wire.served import served_by

TAG_ALPHABET = st.characters(whitelist_categories=["L", "N"], whitelist_characters=" _.:/=+-@")
TAG_PATTERNS = {
    r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)",
    r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*",
    r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+",
}
MOMENTS = st.integers(0, 2**32 * 10**6).map(
    lambda time: dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=time)
)
LONGEST = 300


def texts(shape: Any) -> st.SearchStrategy[str]:
    least, most = shape.metadata.get("min", 0), min(shape.metadata.get("max", LONGEST), LONGEST)
    pattern = shape.metadata.get("pattern")
    if shape.enum:
        return st.sampled_from(shape.enum)
    if pattern in TAG_PATTERNS:
        return st.text(TAG_ALPHABET, min_size=least, max_size=most)
    if pattern is None or pattern == ".*":
        return st.text(
            st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=least, max_size=most
        )
    if "u0009" in pattern:
        return st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=max(1, least), max_size=most)
    return st.from_regex(rf"\A(?a:{pattern})\Z", fullmatch=True).filter(lambda text: least <= len(text) <= most)


def values(shape: Any) -> st.SearchStrategy[Any]:
    match shape.type_name:
        case "structure":
            required = set(shape.required_members)
            return st.fixed_dictionaries(
                {name: values(member) for name, member in shape.members.items() if name in required},
                optional={name: values(member) for name, member in shape.members.items() if name not in required},
            )
        case "list":
            least = shape.metadata.get("min", 0)
            return st.lists(values(shape.member), min_size=least, max_size=max(least, 3))
        case "integer":
            return st.integers(shape.metadata.get("min", -(2**31)), shape.metadata.get("max", 2**31 - 1))
        case "timestamp":
            return MOMENTS
    return texts(shape)


def same(sent: Any, shape: Any) -> Any:
    """A value as it arrives: times as seconds since the epoch."""
    if shape.type_name == "structure":
        return {name: same(value, shape.members[name]) for name, value in sent.items()}
    if shape.type_name == "list":
        return [same(item, shape.member) for item in sent]
    return sent.timestamp() if shape.type_name == "timestamp" else sent


def decoded(operation: Operation, model: OperationModel, params: dict[str, Any]) -> Shape:
    request = create_serializer(model.service_model.protocol, include_validation=False).serialize_to_request(
        params, model
    )
    body = request["body"]
    if operation.service == "sagemaker":
        return decode_request(body, operation.request)
    return check_request(members_of(body), operation.request)


def members_of(form: dict[str, Any]) -> dict[str, Any]:
    """The wire's own reading of a form, without the request around it."""
    fields = query._fields(urlencode(form).encode())
    action = fields.pop("Action")
    fields.pop("Version")
    members = query._nested(fields)
    for name in query._list_members(OPERATIONS[action].request):
        if members.get(name) == "":
            members[name] = []
    return members


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_a_request_of_botocore_is_read_as_it_was_meant(operation: Operation) -> None:
    model = operation_model(operation.service, operation.name)

    input_shape: Any = model.input_shape

    @settings(max_examples=40)
    @given(values(input_shape))
    def check(params: dict[str, Any]) -> None:
        assert not ParamValidator().validate(params, input_shape).has_errors()
        found = msgspec.to_builtins(decoded(operation, model, params))
        expected = same(params, input_shape)
        if operation.service == "sts":  # a form cannot tell an empty structure from none at all
            expected, found = strip_empty(expected), strip_empty(found)
        assert found == expected

    check()


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS.values() if each.response], ids=lambda operation: operation.name
)
def test_botocore_reads_our_answer_as_it_was_meant(operation: Operation) -> None:
    model = operation_model(operation.service, operation.name)
    assert operation.response is not None
    response_type, output_shape = operation.response, cast("Any", model.output_shape)

    @settings(max_examples=40)
    @given(values(output_shape))
    def check(members: dict[str, Any]) -> None:
        shape = msgspec.convert(exact(members, output_shape), response_type, strict=False)
        parsed = parse(operation, model, shape)
        assert strip_empty(parsed) == strip_empty(at_sent_precision(members, output_shape, operation.service))

    check()


def parse(operation: Operation, model: OperationModel, shape: Shape) -> dict[str, Any]:
    handlers = {operation.name: Handler(lambda _caller, _request: None)}
    served = served_by(operation.service, handlers)[operation.name]
    protocol = Json11(handlers) if operation.service == "sagemaker" else Query(handlers)
    body = protocol.answer(served, shape, b"a-request").body
    answer = {"body": body, "status_code": 200, "headers": {}}
    parsed: dict[str, Any] = create_parser(model.service_model.protocol).parse(answer, cast("Any", model.output_shape))
    parsed.pop("ResponseMetadata")
    return parsed


def exact(value: Any, shape: Any) -> Any:
    if shape.type_name == "structure":
        return {name: exact(item, shape.members[name]) for name, item in value.items()}
    if shape.type_name == "list":
        return [exact(item, shape.member) for item in value]
    return value.timestamp() if shape.type_name == "timestamp" else value


def at_sent_precision(value: Any, shape: Any, service: str) -> Any:
    """JSON carries microseconds; the query protocol's ISO 8601 carries milliseconds."""
    if shape.type_name == "structure":
        return {name: at_sent_precision(item, shape.members[name], service) for name, item in value.items()}
    if shape.type_name == "list":
        return [at_sent_precision(item, shape.member, service) for item in value]
    if shape.type_name == "timestamp":
        precise = dt.datetime.fromtimestamp(value.timestamp(), dt.UTC)
        return precise if service == "sagemaker" else precise.replace(microsecond=precise.microsecond // 1000 * 1000)
    return value


def strip_empty(value: Any) -> Any:
    """Without what forms, XML and omitted defaults cannot tell from absent: empty texts, lists and structures."""
    if isinstance(value, dict):
        stripped = {name: strip_empty(item) for name, item in value.items()}
        return {name: item for name, item in stripped.items() if item not in ("", [], {}, None)}
    if isinstance(value, list):
        return [item for item in map(strip_empty, value) if item not in ("", [], {}, None)]
    return value
