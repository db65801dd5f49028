"""Every member, type, enum and limit of the contract, held against botocore's service models, in both directions."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from msgspec import inspect

from contract.aws_models import HELD_AGAINST, MODELS, operation_model, walk
from edgepack.contract.fields import AWS_PATTERN, SAGEMAKER_API_VERSION, STS_API_VERSION
from edgepack.contract.operations import KNOWN_OPERATIONS, OPERATIONS, Operation
from edgepack.contract.shapes import Shape

KINDS = {
    inspect.StructType: "structure",
    inspect.ListType: "list",
    inspect.StrType: "string",
    inspect.LiteralType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "timestamp",
}


def facts_of_aws(shape: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": shape.type_name}
    if shape.type_name == "structure":
        return facts | {"members": set(shape.members), "required": set(shape.required_members)}
    for limit in ("min", "max", "pattern"):
        if limit in shape.metadata:
            facts[limit] = shape.metadata[limit]
    if getattr(shape, "enum", None):
        facts["enum"] = set(shape.enum)
    return facts


def facts_of_ours(kind: inspect.Type, extra: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": KINDS[type(kind)]}
    match kind:
        case inspect.StructType():
            facts["members"] = {field.encode_name for field in kind.fields}
            facts["required"] = {field.encode_name for field in kind.fields if field.required}
        case inspect.LiteralType():
            facts["enum"] = set(kind.values)
        case inspect.IntType():
            facts |= {"min": kind.ge, "max": kind.le}
        case inspect.StrType() | inspect.ListType():
            facts |= {"min": kind.min_length, "max": kind.max_length, "pattern": extra.get(AWS_PATTERN)}
    return {name: fact for name, fact in facts.items() if fact is not None}


def bare(kind: inspect.Type) -> tuple[inspect.Type, Mapping[str, Any]]:
    extra: Mapping[str, Any] = {}
    while isinstance(kind, inspect.UnionType | inspect.Metadata):
        if isinstance(kind, inspect.UnionType):
            (kind,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
        else:
            extra, kind = kind.extra or {}, kind.type
    return kind, extra


def walk_ours(kind: inspect.Type, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    kind, extra = bare(kind)
    yield path, facts_of_ours(kind, extra)
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            yield from walk_ours(field.type, f"{path}.{field.encode_name}")
    elif isinstance(kind, inspect.ListType):
        yield from walk_ours(kind.item_type, f"{path}[]")


def shapes(operation: Operation) -> Iterator[tuple[type[Shape] | None, Any]]:
    model = operation_model(operation.service, operation.name)
    yield operation.request, model.input_shape
    yield operation.response, model.output_shape


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_the_contract_is_what_botocore_ships(operation: Operation) -> None:
    for ours, theirs in shapes(operation):
        if ours is None or theirs is None:
            assert (ours, theirs) == (None, None), f"{operation.name} has a shape on one side only"
            continue
        expected = {path: facts_of_aws(shape) for path, shape in walk(theirs, theirs.name)}
        found = dict(walk_ours(inspect.type_info(ours), theirs.name))
        assert found == expected, f"The contract has drifted from {HELD_AGAINST[operation.service]}"


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_top_level_shapes_are_named_as_aws_names_them(operation: Operation) -> None:
    for ours, theirs in shapes(operation):
        if ours is not None and theirs is not None:
            # botocore renames an output shape that two operations would share; the service's model does not.
            assert ours.__name__.removesuffix("Response").removesuffix("Request") == theirs.name.removesuffix(
                "Response"
            ).removesuffix("Request")


@pytest.mark.parametrize("service", MODELS)
def test_all_operation_names_of_each_service_are_known(service: str) -> None:
    assert KNOWN_OPERATIONS[service] == set(MODELS[service].operation_names), f"Not as in {HELD_AGAINST[service]}"


def test_the_model_version_is_said(record_property: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for service, version in HELD_AGAINST.items():
        record_property(f"contract held against ({service})", version)
    with capsys.disabled():
        print(f"\n  the contract is held against {HELD_AGAINST['sagemaker']}; {HELD_AGAINST['sts']}")
    assert MODELS["sagemaker"].api_version == SAGEMAKER_API_VERSION
    assert MODELS["sts"].api_version == STS_API_VERSION
