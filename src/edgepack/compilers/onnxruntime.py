"""The compiler `onnxruntime`: ONNX Runtime's offline graph optimisation.

What is done at every start of a device is done once, here: constant folding, dead-code removal, operator fusion. The
result is an ONNX model again, for ONNX Runtime on the device. The level is "extended", not "all": the latter bakes in
the memory layouts of the machine it runs on. Source: "Graph optimizations" of the ONNX Runtime documentation.
"""

import hashlib
import importlib.util
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from edgepack.compilers.archive import copy_file, files_below
from edgepack.compilers.base import CompilationError, CompilationRequest
from edgepack.compilers.input_shapes import check_input_shapes, parse_input_shapes
from edgepack.compilers.onnx_format import fix_input_shapes, not_onnx, read_model
from edgepack.compilers.targets import Platform, platform_of, target_name
from edgepack.package.names import MANIFEST_NAME, collision_key

COMPILED_MODEL = "compiled.onnx"
COMPILED_WEIGHTS = "compiled.params"
"""Written where the model came with external data files, and in place of them."""
COMPILED_META = "compiled.meta"
"""JSON with the model's inputs and outputs, under the keys that DLR uses."""
MANIFEST = "manifest"
"""JSON list of the files that the compiler wrote; Neo's archives have a member of this name."""

WRITTEN_NAMES = (COMPILED_MODEL, COMPILED_WEIGHTS, COMPILED_META, MANIFEST)
PLATFORMS = frozenset({Platform("LINUX", "X86_64"), Platform("LINUX", "ARM64")})
"""Where ONNX Runtime is published for, as wheels of PyPI."""

MODEL_SIZE_MAX = 2**31 - 1
"""Bytes of a serialised protocol-buffers message; larger models keep their weights in external data files."""

EXTERNAL_TENSOR_SIZE = 1024
"""Bytes from which a tensor goes to `COMPILED_WEIGHTS`: ONNX's own default."""

LOG_FATAL_ONLY = 4


class OnnxRuntime:
    """Optimises ONNX models for the CPU with ONNX Runtime."""

    name = "onnxruntime"
    frameworks = frozenset({"ONNX"})
    copies_archive = False

    def refuses(self, request: CompilationRequest) -> str | None:
        """Refuses other frameworks, targets for which there is no ONNX Runtime, and accelerators."""
        if request.framework not in self.frameworks:
            return f"it takes ONNX models, not {request.framework}; export the model to ONNX and use Framework ONNX"
        platform = platform_of(request)
        if platform not in PLATFORMS:
            described = "" if platform is None else f" ({platform})"
            return (
                f"it compiles for the CPU of {_choices()}, not for {target_name(request)}{described}; "
                "use a TargetPlatform of these without an Accelerator"
            )
        if importlib.util.find_spec("onnxruntime") is None:
            return "ONNX Runtime is not installed on this server; install edgepack[onnx]"
        return None

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        """Optimise the archive's one `.onnx` file and copy its other files.

        Raises:
            CompilationError: There is not exactly one, it is not a valid model, ONNX Runtime lacks one of its
                operators, the DataInputConfig does not fit it, or the archive holds a name that is written here.
        """
        files = files_below(model_dir)
        name = _only_model(files)
        data = _read(files[name])
        model = read_model(data)
        shapes = check_input_shapes(parse_input_shapes(request.data_input_config), model.inputs)
        if shapes:
            data = fix_input_shapes(data, shapes)
        external = _external_members(name, model.external_files, files)
        _optimise(data, files[name].parent, output_dir, external=bool(external))
        _describe(output_dir, request)
        for other in files.keys() - external - {name}:
            copy_file(files[other], output_dir / other)


def _choices() -> str:
    return " and ".join(sorted(str(platform) for platform in PLATFORMS))


def _only_model(files: Mapping[str, Path]) -> str:
    found = [name for name in files if name.lower().endswith(".onnx")]
    if not found:
        raise CompilationError("ClientError: InputConfiguration: No onnx file provided in the model archive.")
    if len(found) > 1:
        raise CompilationError(
            f"ClientError: InputConfiguration: Exactly one .onnx file is allowed for ONNX models, not {len(found)}."
        )
    for name in files:
        if name != found[0] and collision_key(name) in {MANIFEST_NAME, *WRITTEN_NAMES}:
            raise CompilationError(
                f"ClientError: InputConfiguration: The model archive must not hold a file named {name!r}."
            )
    return found[0]


def _read(path: Path) -> bytes:
    if path.stat().st_size > MODEL_SIZE_MAX:
        raise not_onnx(f"it has more than {MODEL_SIZE_MAX} bytes; keep its weights in external data files")
    return path.read_bytes()


def _external_members(name: str, locations: frozenset[str], files: Mapping[str, Path]) -> set[str]:
    """The archive's members that hold the model's tensors; each must be there, below the model's folder."""
    folder = name.rpartition("/")[0]
    members = set()
    for location in locations:
        parts = [part for part in f"{folder}/{location}".split("/") if part not in ("", ".")]
        member = "/".join(parts)
        if ".." in parts or location.startswith("/") or member not in files:
            raise CompilationError(
                f"ClientError: InputConfiguration: The model's external data file {location[:200]!r} is missing."
            )
        members.add(member)
    return members


def _optimise(data: bytes, folder: Path, output_dir: Path, *, external: bool) -> None:
    import onnxruntime  # noqa: PLC0415 - an optional package, and only the compiler's own process is to load it

    options = _options(onnxruntime)
    options.optimized_model_filepath = str(output_dir / COMPILED_MODEL)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    if external:
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", COMPILED_WEIGHTS)
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_min_size_in_bytes", str(EXTERNAL_TENSOR_SIZE)
        )
    try:
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise _failed(error) from error


def _options(onnxruntime: Any) -> Any:
    """One thread: the order in which constants are folded must not depend on the machine."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = LOG_FATAL_ONLY
    return options


def _failed(error: Exception) -> CompilationError:
    kind, text = type(error).__name__, " ".join(str(error).split())
    if kind in ("InvalidProtobuf", "InvalidGraph"):
        return not_onnx(text)
    if kind == "NotImplemented":
        return CompilationError(f"ClientError: OperatorNotImplemented: {text}")
    if "bad allocation" in text or "bad_alloc" in text:
        return CompilationError("ClientError: The compiler needs more memory than it may use for this model.")
    return CompilationError(f"ClientError: CompilationError: ONNX Runtime cannot load the model: {text}")


def _describe(output_dir: Path, request: CompilationRequest) -> None:
    """Load what was written, as a device will, and write down what it is."""
    import onnxruntime  # noqa: PLC0415 - as above

    options = _options(onnxruntime)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            str(output_dir / COMPILED_MODEL), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # as above
        raise CompilationError(f"ClientError: CompilationError: The optimised model does not load: {error}") from error
    meta = {
        "Model": {
            "Inputs": [_tensor(value) for value in session.get_inputs()],
            "Outputs": [_tensor(value) for value in session.get_outputs()],
        },
        "Requirements": {"TargetDevice": target_name(request), "TargetDeviceType": "cpu"},
        "Compilation": {"Compiler": OnnxRuntime.name, "Version": version("onnxruntime")},
    }
    (output_dir / COMPILED_META).write_bytes(_json(meta))
    written = [_entry(output_dir / name) for name in WRITTEN_NAMES if (output_dir / name).exists()]
    (output_dir / MANIFEST).write_bytes(_json(written))


def _tensor(value: Any) -> dict[str, Any]:
    return {"name": value.name, "dtype": value.type.removeprefix("tensor(").removesuffix(")"), "shape": value.shape}


def _entry(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": path.name, "size": path.stat().st_size, "sha256": digest, "runtime": OnnxRuntime.name}


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"
