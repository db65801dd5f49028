"""botocore's own service models, read as data."""

from collections.abc import Iterator
from typing import Any

import botocore
import botocore.session
from botocore.model import OperationModel, ServiceModel

MODELS: dict[str, ServiceModel] = {
    name: botocore.session.get_session().get_service_model(name)
    for name in ("sagemaker", "sts", "sagemaker-edge", "greengrassv2", "kms")
}

HELD_AGAINST = {name: f"botocore {botocore.__version__}, {name} {model.api_version}" for name, model in MODELS.items()}


def operation_model(service: str, name: str) -> OperationModel:
    return MODELS[service].operation_model(name)


def walk(shape: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The shape and everything below it, by path."""
    yield path, shape
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from walk(member, f"{path}.{name}")
    elif shape.type_name == "list":
        yield from walk(shape.member, f"{path}[]")
