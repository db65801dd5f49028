"""Our reading of the ONNX format against the `onnx` package's."""

from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from compilers.onnx_models import Dimension, affine, with_location
from edgepack.compilers.base import CompilationError
from edgepack.compilers.onnx_format import fix_input_shapes, read_model

SHIPPED = sorted(
    [
        *(Path(str(resources.files("onnx"))) / "backend" / "test" / "data").rglob("*.onnx"),
        *(Path(str(resources.files("onnxruntime"))) / "datasets").glob("*.onnx"),
    ]
)
SHAPES = st.dictionaries(
    st.text("abcé☃/:.0", min_size=1, max_size=200),
    st.none() | st.lists(st.none() | st.integers(1, 2**40) | st.text("nN0?", min_size=1, max_size=4), max_size=5),
    min_size=1,
    max_size=4,
)


def declared(model: onnx.ModelProto) -> dict[str, tuple[Dimension, ...] | None]:
    """What `onnx` says of the inputs."""
    given_already = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, tuple[Dimension, ...] | None] = {}
    for value in model.graph.input:
        if value.name in given_already:
            continue
        tensor = value.type.tensor_type
        has_shape = value.type.HasField("tensor_type") and tensor.HasField("shape")
        found[value.name] = (
            tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in tensor.shape.dim)
            if has_shape
            else None
        )
    return found


def test_there_are_models_to_try() -> None:
    assert len(SHIPPED) > 60


def test_inputs_of_every_model_that_onnx_ships() -> None:
    for path in SHIPPED:
        data = path.read_bytes()
        assert dict(read_model(data).inputs) == declared(onnx.load_model_from_string(data)), path.name


@given(shapes=SHAPES)
def test_inputs_of_any_shape(shapes: dict[str, Sequence[Dimension] | None]) -> None:
    model = affine(shapes)
    inputs = read_model(model.SerializeToString()).inputs
    assert list(inputs.items()) == list(declared(model).items())


@given(shapes=SHAPES, sizes=st.lists(st.integers(1, 2**31 - 1), max_size=5))
def test_fixing_shapes_changes_these_and_nothing_else(
    shapes: dict[str, Sequence[Dimension] | None], sizes: list[int]
) -> None:
    model = affine(shapes)
    first = next(iter(shapes))
    fixed = onnx.load_model_from_string(fix_input_shapes(model.SerializeToString(), {first: sizes}))
    model.graph.input[0].type.tensor_type.shape.ClearField("dim")
    model.graph.input[0].type.tensor_type.shape.SetInParent()
    for size in sizes:
        model.graph.input[0].type.tensor_type.shape.dim.add(dim_value=size)
    assert fixed == model


def test_fixing_nothing_gives_the_same_bytes(magika_model: Path) -> None:
    data = magika_model.read_bytes()
    assert fix_input_shapes(data, {"no such": [1]}) == data


def test_external_files_are_found_wherever_tensors_are() -> None:
    def tensor(location: str) -> TensorProto:
        found = onnx.load_model_from_string(with_location(affine(), location)).graph.initializer[0]
        assert isinstance(found, TensorProto)
        return found

    branch = helper.make_graph([], "branch", [], [], [tensor("branch.bin")])
    nested = helper.make_node(
        "If", ["c"], ["z"], then_branch=branch, else_branch=helper.make_graph([], "empty", [], [])
    )
    constant = helper.make_node("Constant", [], ["k"], value=tensor("constant.bin"))
    model = affine(extra_nodes=[nested, constant])
    model.graph.initializer.append(tensor("top.bin"))
    sparse = helper.make_sparse_tensor(tensor("sparse.bin"), tensor("indices.bin"), [1])
    model.graph.sparse_initializer.append(sparse)
    model.functions.append(helper.make_function("d", "f", [], [], [constant], [helper.make_opsetid("", 17)]))
    found = read_model(model.SerializeToString()).external_files
    assert found == {"branch.bin", "constant.bin", "top.bin", "sparse.bin", "indices.bin"}


@given(data=st.binary(max_size=400))
def test_any_bytes_are_a_model_or_refused(data: bytes) -> None:
    with suppress(CompilationError):
        read_model(data)
        fix_input_shapes(data, {"": [1]})


SMALL = affine().SerializeToString()


def test_a_model_that_ends_early_is_refused() -> None:
    with pytest.raises(CompilationError, match="ends in the middle of a field"):
        read_model(SMALL[:-1])


@given(position=st.integers(0, len(SMALL) - 1), value=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=300)
def test_damaged_models_are_read_or_refused(position: int, value: int, cut: bool) -> None:
    damaged = SMALL[:position] if cut else SMALL[:position] + bytes([value]) + SMALL[position + 1 :]
    with suppress(CompilationError):
        read_model(damaged)
        fix_input_shapes(damaged, {"x": [1, 4]})


def message(field: int, content: bytes) -> bytes:
    """A field of a message, in the wire format, for contents below 16 KiB."""
    return bytes([field << 3 | 2, len(content) & 127 | 128, len(content) >> 7]) + content


def test_endless_nesting_is_refused() -> None:
    """A graph in an attribute of a node of a graph …, deeper than the `onnx` package itself can go."""
    graph = b""
    for _ in range(60):
        graph = message(1, message(5, message(6, graph)))
    with pytest.raises(CompilationError, match="nested deeper than 100"):
        read_model(message(7, graph))
