"""The other side of `isolation.run_isolated`: a process that sets its own limits, runs one compiler, and reports.

Run with `python -m edgepack.compilers.isolated`; the order comes on standard input, the report goes to a pipe.
"""

import os
import resource
import sys
from pathlib import Path

import msgspec

from edgepack.compilers.base import CompilationError, CompilationRequest
from edgepack.compilers.confinement import confine
from edgepack.compilers.registry import load_compiler
from edgepack.errors import EdgepackError

MESSAGE_SIZE_MAX = 4000
"""Characters of a message that are reported: less than a pipe's buffer, so that writing never waits."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, and under which limits.

    Attributes:
        compiler: The entry point's name.
        model_dir: Absolute path of the unpacked model.
        output_dir: Absolute path of the empty output folder.
        hidden: Absolute path of a folder that the compiler must not see, other than the two above.
        request: What is asked of the compiler.
        report: The pipe's descriptor.
        memory: Bytes of address space.
        file_size: Bytes of any one file.
        cpu_seconds: CPU time; a second fence, for processes that the compiler starts and loses.
    """

    compiler: str
    model_dir: str
    output_dir: str
    hidden: str
    request: CompilationRequest
    report: int
    memory: int
    file_size: int
    cpu_seconds: int


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How it went.

    Attributes:
        error: The FailureReason; None after success.
        fault: True if the error is edgepack's or the compiler's, not the model's.
    """

    error: str | None = None
    fault: bool = False


def main() -> None:
    """Carry out the order on standard input."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    _limit(order)
    confine(writable=[Path(order.model_dir), Path(order.output_dir), Path.cwd()], hidden=Path(order.hidden))
    os.write(order.report, msgspec.json.encode(_run(order)))


def _run(order: Order) -> Report:
    try:
        load_compiler(order.compiler).compile(Path(order.model_dir), Path(order.output_dir), order.request)
    except CompilationError as error:
        return Report(error=error.message[:MESSAGE_SIZE_MAX])
    except EdgepackError as error:
        return Report(error=error.message[:MESSAGE_SIZE_MAX], fault=True)
    except MemoryError:
        return Report(error=f"ClientError: The compiler needs more than {order.memory} bytes of memory for this model.")
    except Exception as error:  # noqa: BLE001 - a compiler may raise anything, and the parent is to hear of it
        return Report(error=f"{type(error).__name__}: {error}"[:MESSAGE_SIZE_MAX], fault=True)
    return Report()


def _limit(order: Order) -> None:
    for which, most in (
        (resource.RLIMIT_AS, order.memory),
        (resource.RLIMIT_FSIZE, order.file_size),
        (resource.RLIMIT_CPU, order.cpu_seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(which)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (limit, limit))


if __name__ == "__main__":
    main()
