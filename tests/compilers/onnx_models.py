"""ONNX models made for a purpose."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

Dimension = int | str | None
WEIGHTS = np.linspace(-1, 1, 4 * 1024, dtype=np.float32).reshape(4, 1024)


def affine(
    inputs: dict[str, Sequence[Dimension] | None] | None = None, *, extra_nodes: Sequence[Any] = ()
) -> onnx.ModelProto:
    """y = relu(x @ (W + W)): a constant to fold and two operators."""
    free: dict[str, Sequence[Dimension] | None] = {"x": ["N", 4]}
    shapes = free if inputs is None else inputs
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["w", "w"], ["w2"]),
            helper.make_node("MatMul", [next(iter(shapes)), "w2"], ["p"]),
            helper.make_node("Relu", ["p"], ["y"]),
            *extra_nodes,
        ],
        "affine",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    return model_of(graph)


def model_of(graph: Any) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def save_external(model: onnx.ModelProto, path: Path, location: str) -> None:
    """Save with the weights in a file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, str(path), save_as_external_data=True, location=location, size_threshold=1024)


def with_location(model: onnx.ModelProto, location: str) -> bytes:
    """The model with a first tensor that claims to be in that file."""
    tensor = model.graph.initializer[0]
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)
    return bytes(model.SerializeToString())


def predict(path: Path, **inputs: Any) -> list[Any]:
    """What ONNX Runtime computes, with nothing optimised."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return list(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, inputs))
