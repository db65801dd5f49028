"""From bytes to a checked request: fast when it is right, thorough when it is not.

A right request takes one pass of msgspec. A wrong one is walked again, member by member, so that the answer lists all
faults at once in AWS's words.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from edgepack.contract.fields import AWS_PATTERN
from edgepack.contract.shapes import Shape
from edgepack.errors import SerializationError, ValidationError

T = TypeVar("T", bound=Shape)

SHOWN_CHARACTERS = 256
"""Characters of a refused value that the message repeats: enough to find it, not enough to flood a log."""

FAULTS_MAX = 100
"""Faults that are looked for: more than any request made by hand has, and an answer stays small."""

NOT_NULL = "Member must not be null"

_JSON_TYPES = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a structure",
}

PATTERN_CHECKED_LENGTHS = 2
"""A text is held against its pattern up to this many times its greatest length: the time that some patterns take grows
with the square of the text's."""

_INTEGER = re.compile(r"-?[0-9]{1,18}")


def decode_request(body: bytes, shape: type[T]) -> T:
    """A request of the AWS JSON protocol.

    Args:
        body: JSON text; an empty body stands for an empty structure, as at AWS.
        shape: The operation's request.

    Raises:
        SerializationError: It is not JSON, a member has the wrong JSON type, or one is there twice.
        ValidationError: Members are missing, unknown or outside their limits; the message lists all of them.
    """
    try:
        request: T = _decoder(shape).decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        request = _checked(_parse(body), shape)
    if body.count(b":") > 1:  # which two members of one name take: most requests of one member need no second look
        json.loads(body, object_pairs_hook=_once_each, parse_int=str, parse_float=str)
    return request


def check_request(members: Mapping[str, Any], shape: type[T]) -> T:
    """A request of the AWS query protocol, whose leaves are texts.

    Args:
        members: By wire name: texts, lists, and mappings of the same.
        shape: The operation's request.

    Raises:
        SerializationError: A member has the wrong structure, or is not the number it must be.
        ValidationError: As `decode_request`.
    """
    return _checked(_with_numbers(members, inspect.type_info(shape)), shape)


def detected(faults: Sequence[str]) -> str:
    """AWS's message that lists several faults."""
    return f"{len(faults)} validation error{'' if len(faults) == 1 else 's'} detected: {'; '.join(faults)}"


@cache
def _decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(shape)


def _parse(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SerializationError(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise SerializationError("The body is nested too deeply.") from None


def _once_each(members: list[tuple[str, Any]]) -> None:
    """Refuse a structure that has a member twice: msgspec, as most JSON readers, would drop all but the last."""
    names = [name for name, _ in members]
    for name in names:
        if names.count(name) > 1:
            raise SerializationError(f"The member {name[:SHOWN_CHARACTERS]!r} is there twice.")


def _checked(members: Any, shape: type[T]) -> T:
    faults = list(islice(_faults(members, inspect.type_info(shape), ""), FAULTS_MAX))
    if faults:
        raise ValidationError(detected(faults))
    try:
        return msgspec.convert(members, shape)
    except msgspec.ValidationError as error:  # whatever the walk does not know
        raise SerializationError(f"The request does not have the shape of the operation: {error}.") from None


def _with_numbers(value: Any, kind: inspect.Type) -> Any:
    kind, _ = _bare(kind)
    match kind:
        case inspect.StructType() if isinstance(value, Mapping):
            kinds = {field.encode_name: field.type for field in kind.fields}
            return {name: _with_numbers(item, kinds[name]) if name in kinds else item for name, item in value.items()}
        case inspect.ListType() if isinstance(value, list):
            return [_with_numbers(item, kind.item_type) for item in value]
        case inspect.IntType() if isinstance(value, str) and _INTEGER.fullmatch(value):
            return int(value)
    return value


def _bare(kind: inspect.Type) -> tuple[inspect.Type, Mapping[str, Any]]:
    """The type without `| None` and without extra data; the extra data."""
    extra: Mapping[str, Any] = {}
    while True:
        match kind:
            case inspect.UnionType():
                kind = next(each for each in kind.types if not isinstance(each, inspect.NoneType))
            case inspect.Metadata():
                extra, kind = kind.extra or {}, kind.type
            case _:
                return kind, extra


def _faults(value: Any, kind: inspect.Type, path: str) -> Iterator[str]:
    kind, extra = _bare(kind)
    match kind:
        case inspect.StructType():
            yield from _structure_faults(_expect(value, dict, path), kind, path)
        case inspect.ListType():
            yield from _list_faults(_expect(value, list, path), kind, path)
        case inspect.StrType():
            yield from _text_faults(_expect(value, str, path), kind, extra, path)
        case inspect.LiteralType():
            if _expect(value, str, path) not in kind.values:
                yield fault(value, path, f"Member must satisfy enum value set: [{', '.join(map(str, kind.values))}]")
        case inspect.IntType():
            yield from _range_faults(_expect(value, int, path), kind, path)
        case inspect.FloatType():
            _expect(value, float, path)


def _structure_faults(value: Mapping[str, Any], kind: inspect.StructType, path: str) -> Iterator[str]:
    for field in kind.fields:
        where, member = _joined(path, _lower_camel(field.encode_name)), value.get(field.encode_name)
        if member is not None:
            yield from _faults(member, field.type, where)
        elif field.required:
            yield fault(None, where, NOT_NULL)
    known = [field.encode_name for field in kind.fields]
    for name in value:
        if name not in known:
            where = _joined(path, _lower_camel(_shown(name)))
            yield fault(value[name], where, f"Member must be one of the known members: [{', '.join(known)}]")


def _list_faults(value: list[Any], kind: inspect.ListType, path: str) -> Iterator[str]:
    yield from _length_faults(value, kind, path)
    if kind.max_length is not None and len(value) > kind.max_length:
        return
    for number, item in enumerate(value, start=1):
        where = f"{path}.{number}.member"
        if item is None:
            yield fault(None, where, NOT_NULL)
        else:
            yield from _faults(item, kind.item_type, where)


def _text_faults(value: str, kind: inspect.StrType, extra: Mapping[str, Any], path: str) -> Iterator[str]:
    yield from _length_faults(value, kind, path)
    if kind.max_length is not None and len(value) > PATTERN_CHECKED_LENGTHS * kind.max_length:
        return
    if kind.pattern is not None and re.search(kind.pattern, value) is None:
        yield fault(value, path, f"Member must satisfy regular expression pattern: {extra[AWS_PATTERN]}")


def _length_faults(value: str | list[Any], kind: inspect.StrType | inspect.ListType, path: str) -> Iterator[str]:
    if kind.max_length is not None and len(value) > kind.max_length:
        yield fault(value, path, f"Member must have length less than or equal to {kind.max_length}")
    if kind.min_length is not None and len(value) < kind.min_length:
        yield fault(value, path, f"Member must have length greater than or equal to {kind.min_length}")


def _range_faults(value: int, kind: inspect.IntType, path: str) -> Iterator[str]:
    if kind.le is not None and value > kind.le:
        yield fault(value, path, f"Member must have value less than or equal to {kind.le}")
    if kind.ge is not None and value < kind.ge:
        yield fault(value, path, f"Member must have value greater than or equal to {kind.ge}")


def _expect(value: Any, wanted: type, path: str) -> Any:
    accepted = (int, float) if wanted is float else (wanted,)
    if isinstance(value, accepted) and not (isinstance(value, bool) and wanted is not bool):
        return value
    found = next((words for kind, words in _JSON_TYPES.items() if isinstance(value, kind)), "null")
    needed = "a whole number" if wanted is int else _JSON_TYPES[wanted]
    raise SerializationError(f"{f'{path!r}' if path else 'The request'} must be {needed}, not {found}.")


def fault(value: Any, path: str, constraint: str) -> str:
    """One fault in AWS's words.

    Args:
        value: What was sent; None where nothing was.
        path: Where, in lowerCamelCase with dots.
        constraint: What it breaks.
    """
    printed = "null" if value is None else f"'{_shown(_as_aws_prints(value))}'"
    return f"Value {printed} at '{path}' failed to satisfy constraint: {constraint}"


def _as_aws_prints(value: Any) -> str:
    # As many items of a list as can be shown: it may be the list's length that is the fault.
    return f"[{', '.join(map(_as_aws_prints, value[:SHOWN_CHARACTERS]))}]" if isinstance(value, list) else str(value)


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _lower_camel(name: str) -> str:
    return name[:1].lower() + name[1:]
