"""The little of the ONNX format that compiling needs: inputs, external data files, and fixing input shapes.

Works on the protocol-buffers wire format itself (https://protobuf.dev/programming-guides/encoding/), with the field
numbers of onnx.proto: no second copy of the weights as Python objects, and no dependency on the `onnx` package.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edgepack.compilers.base import CompilationError

Dimension = int | str | None
"""A fixed size, a symbol, or nothing known."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""

VARINT_SIZE_MAX = 10
"""Bytes of the longest varint."""

NESTING_MAX = 100
"""Depth of nested messages: the bound of the protocol-buffers parsers themselves."""

MODEL_GRAPH, GRAPH_INPUT, GRAPH_INITIALIZER = 7, 11, 5
VALUE_NAME, VALUE_TYPE, TYPE_TENSOR, TENSOR_SHAPE, SHAPE_DIMENSION = 1, 2, 1, 2, 1
DIMENSION_VALUE, DIMENSION_SYMBOL = 1, 2
TENSOR_NAME, TENSOR_EXTERNAL_DATA = 8, 13
ENTRY_KEY, ENTRY_VALUE = 1, 2

_MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {MODEL_GRAPH: "graph", 25: "function"},
    "graph": {1: "node", GRAPH_INITIALIZER: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""In which messages and fields tensors can be."""


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """What is known of a model.

    Attributes:
        inputs: Names and dimensions of the inputs that a caller has to give, in order; None for the dimensions
            where the rank is not declared or the input is not a tensor.
        external_files: Relative paths of the files that hold tensors outside the model file, as the model writes them.
    """

    inputs: Mapping[str, tuple[Dimension, ...] | None] = field(default_factory=dict)
    external_files: frozenset[str] = frozenset()


def read_model(data: bytes) -> OnnxModel:
    """Read a serialised ModelProto.

    Raises:
        CompilationError: The bytes are not one.
    """
    view = memoryview(data)
    graph = _last(view, MODEL_GRAPH)
    if graph is None:
        raise not_onnx("it holds no graph")
    given = {_text(_last(tensor, TENSOR_NAME)) for tensor in _all(graph, GRAPH_INITIALIZER)}
    inputs = {_text(_last(value, VALUE_NAME)): _dimensions(value) for value in _all(graph, GRAPH_INPUT)}
    return OnnxModel(
        {name: shape for name, shape in inputs.items() if name not in given},
        frozenset(_external_files(view, "model", NESTING_MAX)),
    )


def fix_input_shapes(data: bytes, shapes: Mapping[str, Sequence[int]]) -> bytes:
    """The same model with these inputs' dimensions set to numbers; all else stays byte for byte.

    Args:
        data: A serialised ModelProto.
        shapes: Dimensions by input name.

    Raises:
        CompilationError: The bytes are not a model.
    """
    return _rewritten(memoryview(data), MODEL_GRAPH, lambda graph: _with_shapes(graph, shapes))


def not_onnx(why: str) -> CompilationError:
    """The error for bytes that are not a model."""
    return CompilationError(f"ClientError: InputConfiguration: The .onnx file is not a valid ONNX model: {why}.")


def _with_shapes(graph: memoryview, shapes: Mapping[str, Sequence[int]]) -> bytes:
    def with_shape(value: memoryview) -> bytes:
        shape = shapes.get(_text(_last(value, VALUE_NAME)))
        if shape is None:
            return bytes(value)
        return _rewritten(
            value, VALUE_TYPE, lambda kind: _rewritten(kind, TYPE_TENSOR, lambda tensor: shaped(tensor, shape))
        )

    def shaped(tensor: memoryview, shape: Sequence[int]) -> bytes:
        dimensions = [_field(SHAPE_DIMENSION, _key(DIMENSION_VALUE, VARINT) + _varint(size)) for size in shape]
        kept = _rewritten(tensor, TENSOR_SHAPE, lambda _: None)
        return kept + _field(TENSOR_SHAPE, b"".join(dimensions))

    return _rewritten(graph, GRAPH_INPUT, with_shape)


def _dimensions(value: memoryview) -> tuple[Dimension, ...] | None:
    kind = _last(value, VALUE_TYPE)
    tensor = None if kind is None else _last(kind, TYPE_TENSOR)
    shape = None if tensor is None else _last(tensor, TENSOR_SHAPE)
    return None if shape is None else tuple(_dimension(view) for view in _all(shape, SHAPE_DIMENSION))


def _dimension(view: memoryview) -> Dimension:
    found: Dimension = None
    for number, _, value, _ in _fields(view):
        if number == DIMENSION_VALUE and isinstance(value, int):
            found = value
        elif number == DIMENSION_SYMBOL and isinstance(value, memoryview):
            found = _text(value) or None
    return found


def _external_files(view: memoryview, message: str, depth: int) -> Iterator[str]:
    if depth == 0:
        raise not_onnx(f"its messages are nested deeper than {NESTING_MAX}")
    if message == "tensor":
        for entry in _all(view, TENSOR_EXTERNAL_DATA):
            if _text(_last(entry, ENTRY_KEY)) == "location":
                yield _text(_last(entry, ENTRY_VALUE))
        return
    inside = _MESSAGES[message]
    for number, _, value, _ in _fields(view):
        if number in inside and isinstance(value, memoryview):
            yield from _external_files(value, inside[number], depth - 1)


def _all(view: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, _, value, _ in _fields(view):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _last(view: memoryview, wanted: int) -> memoryview | None:
    """The field's last occurrence, which is the one that counts."""
    return next(iter(deque(_all(view, wanted), maxlen=1)), None)


def _text(view: memoryview | None) -> str:
    try:
        return "" if view is None else str(view, "utf-8")
    except UnicodeDecodeError:
        raise not_onnx("a name is not UTF-8") from None


def _rewritten(view: memoryview, wanted: int, change: Callable[[memoryview], bytes | None]) -> bytes:
    """The message with each occurrence of a field changed, or dropped where `change` returns None."""
    parts: list[bytes | memoryview] = []
    for number, start, value, end in _fields(view):
        if number == wanted and isinstance(value, memoryview):
            changed = change(value)
            parts.append(b"" if changed is None else _field(number, changed))
        else:
            parts.append(view[start:end])
    return b"".join(parts)


def _fields(view: memoryview) -> Iterator[tuple[int, int, int | memoryview, int]]:
    """Each field's number, offset, value (a memoryview unless it is a varint), and the offset behind it."""
    position, size = 0, len(view)
    while position < size:
        start = position
        key, position = _read_varint(view, position)
        kind, value = key & 7, 0
        if kind == VARINT:
            value, position = _read_varint(view, position)
            yield key >> 3, start, value, position
            continue
        if kind == BYTES:
            length, position = _read_varint(view, position)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise not_onnx(f"it has a field of the unknown wire type {kind}")
        end = position + length
        if end > size:
            raise not_onnx("it ends in the middle of a field")
        yield key >> 3, start, view[position:end], end
        position = end


def _read_varint(view: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(view[position : position + VARINT_SIZE_MAX]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the bit that says more bytes follow
            return value, position + index + 1
    raise not_onnx("it ends in the middle of a number")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits to the byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _field(number: int, value: bytes) -> bytes:
    return _key(number, BYTES) + _varint(len(value)) + value
