"""What a compiler is, what it is asked, and how it says no."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from edgepack.errors import ArtifactError


class CompilationError(ArtifactError):
    """The model cannot be compiled as asked. The message is the job's FailureReason; the author of the job acts.

    The wording follows the FailureReason texts on Neo's troubleshooting page: `ClientError: ` and, where the input is
    to blame, `InputConfiguration: `.
    """

    code = "CompilationError"


class CompilationTimeoutError(CompilationError):
    """The compiler did not end within `StoppingCondition.MaxRuntimeInSeconds`; its processes have been killed."""

    code = "CompilationTimeout"
    advice = "Give the job a larger MaxRuntimeInSeconds, or a smaller model."


class CompilationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a CreateCompilationJob request that concerns a compiler.

    Exactly one of `target_device` and `target_os` with `target_arch` is set, as the API has it.

    Attributes:
        framework: `InputConfig.Framework`, for example `ONNX`.
        framework_version: `InputConfig.FrameworkVersion`.
        data_input_config: `InputConfig.DataInputConfig`: JSON text with the shapes of the model's inputs.
        target_device: `OutputConfig.TargetDevice`, for example `rasp4b`.
        target_os: `OutputConfig.TargetPlatform.Os`: `LINUX` or `ANDROID`.
        target_arch: `OutputConfig.TargetPlatform.Arch`, for example `ARM64`.
        target_accelerator: `OutputConfig.TargetPlatform.Accelerator`, for example `NVIDIA`.
        compiler_options: `OutputConfig.CompilerOptions`, parsed; the key `compiler` names the compiler to use.
    """

    framework: str
    framework_version: str | None = None
    data_input_config: str | None = None
    target_device: str | None = None
    target_os: str | None = None
    target_arch: str | None = None
    target_accelerator: str | None = None
    compiler_options: dict[str, Any] = {}


@runtime_checkable
class Compiler(Protocol):
    """The shape of the class, without constructor arguments, that an entry point of `edgepack.compilers` names."""

    name: str
    """The entry point's name, which `CompilerOptions` uses."""

    frameworks: frozenset[str]
    """The frameworks it can take at all; empty if it never comes up unless it is asked for by name."""

    copies_archive: bool
    """True if the output is to be the input archive, byte for byte: nothing is unpacked and `compile` is not called."""

    def refuses(self, request: CompilationRequest) -> str | None:
        """Why this compiler cannot do what is asked, for a human who wants to change that; None if it can try.

        Quick, and without looking at the model: it runs in the worker, not in the compiler's own process.
        """

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        """Compile the unpacked model.

        The same input must give the same bytes. Runs in a process of its own, under limits, with no network to rely on.

        Args:
            model_dir: The unpacked model archive. The compiler may write to it.
            output_dir: An empty folder, for what becomes the compiled archive.
            request: What is asked; `refuses` returned None for it.

        Raises:
            CompilationError: The model or the request is at fault; the message says what to change.
        """
