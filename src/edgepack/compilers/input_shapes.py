"""`InputConfig.DataInputConfig`: the shapes that the model is compiled for."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from edgepack.compilers.base import CompilationError
from edgepack.compilers.onnx_format import Dimension

Size = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]

EXAMPLE = '{"data": [1, 3, 224, 224]}'


def parse_input_shapes(text: str | None) -> dict[str, list[int]]:
    """Read a DataInputConfig in its dictionary form.

    Args:
        text: JSON text, `{"input name": [sizes]}`; None and the empty string give no shapes.

    Returns:
        Sizes by input name.

    Raises:
        CompilationError: It is anything else.
    """
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, list[Size]])
    except (msgspec.DecodeError, RecursionError) as error:
        raise _refused(f"is not a JSON object of input names and shapes like {EXAMPLE} ({error})") from None


def check_input_shapes(
    shapes: Mapping[str, list[int]], inputs: Mapping[str, tuple[Dimension, ...] | None]
) -> dict[str, list[int]]:
    """Check shapes against a model's inputs.

    Args:
        shapes: Sizes by name, from the DataInputConfig; none of them leaves the model's dimensions free.
        inputs: The model's inputs and their declared dimensions.

    Returns:
        The shapes of those inputs that are not fixed already.

    Raises:
        CompilationError: A name is not an input's, an input is missing, or a shape contradicts the declared one.
    """
    if not shapes:
        return {}
    names = ", ".join(repr(name) for name in inputs)
    for name in shapes:
        if name not in inputs:
            raise _refused(f"names the input {name!r}, which the model does not have; its inputs are {names}")
    for name in inputs:
        if name not in shapes:
            raise _refused(f"leaves out the model's input {name!r}; its inputs are {names}")
    return {name: shape for name, shape in shapes.items() if _changes(name, shape, inputs[name])}


def _changes(name: str, shape: list[int], declared: tuple[Dimension, ...] | None) -> bool:
    if declared is None:
        return True
    fits = len(shape) == len(declared) and all(
        size == dimension for size, dimension in zip(shape, declared, strict=True) if _is_fixed(dimension)
    )
    if not fits:
        raise _refused(f"gives {name!r} the shape {shape}, but the model declares {_shown(declared)}")
    return not all(_is_fixed(dimension) for dimension in declared)


def _is_fixed(dimension: Dimension) -> bool:
    """Exporters write 0 or -1 (as an unsigned number) where they mean any size."""
    return isinstance(dimension, int) and 0 < dimension < 2**63


def _shown(declared: tuple[Dimension, ...]) -> str:
    return f"[{', '.join(str(size) if _is_fixed(size) else '?' for size in declared)}]"


def _refused(why: str) -> CompilationError:
    return CompilationError(f"ClientError: InputConfiguration: DataInputConfig {why}.")
