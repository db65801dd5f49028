"""Runs a compiler in a throw-away process: without credentials, under limits, and gone when it is to be gone.

Models are untrusted, some formats are programs, and compilers are large pieces of C++. What happens in there must not
take the worker down, must not see its keys in the environment, and must end when the job does.
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from edgepack.compilers.archive import files_below
from edgepack.compilers.base import CompilationError, CompilationRequest, CompilationTimeoutError
from edgepack.compilers.isolated import Order, Report
from edgepack.errors import StateError
from edgepack.package.limits import GIB
from edgepack.tether import tied

POLL_SECONDS = 0.5
"""How often a waiting worker looks whether the job has been stopped."""

REPORT_SIZE_MAX = 64 * 1024
"""Bytes of a report that are read: a pipe holds no more."""

PASSED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
"""What a compiler's process sees of the worker's environment: nothing in them is secret, and loaders need them."""

CPU_COUNT = os.cpu_count() or 1


class CompilerFaultError(StateError):
    """The compiler itself failed in a way that is not the model's doing. Whoever runs this edgepack acts."""

    code = "CompilerFault"
    advice = "Look whether the compiler's packages are complete and of a supported version."


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a compiler's process may use.

    Attributes:
        memory: Bytes of address space, mappings and libraries included.
        file_size: Bytes of any one file it writes.
    """

    memory: int
    file_size: int

    @classmethod
    def for_model(cls, size: int) -> "Limits":
        """Limits for a model of `size` bytes: up to four copies of it are held while it is optimised and saved."""
        return cls(memory=4 * GIB + 6 * size, file_size=1 * GIB + 4 * size)


def run_isolated(  # noqa: PLR0913 - the order and its three fences
    compiler_name: str,
    model_dir: Path,
    output_dir: Path,
    request: CompilationRequest,
    *,
    seconds: float,
    poll: Callable[[], None],
    hidden: Path,
    limits: Limits | None = None,
) -> None:
    """Run one compiler in a process and a session of its own, and wait for it.

    The process dies with the calling **thread**. Whatever ends the wait, the process and all that it started in its
    group is killed before this returns.

    Args:
        compiler_name: The entry point's name.
        model_dir: The unpacked model.
        output_dir: An empty folder for the result.
        request: What is asked.
        seconds: Wall-clock time until it is killed: `StoppingCondition.MaxRuntimeInSeconds`, less what has passed.
        poll: Called every half second; what it raises ends the compiler and comes out of here.
        hidden: A folder that the compiler must not see, apart from the two folders above: the worker's keys are in it.
        limits: Limits other than those that follow from the model's size.

    Raises:
        CompilationError: The model or the request is at fault, or the compiler crashed on it.
        CompilationTimeoutError: It took longer than `seconds`.
        CompilerFaultError: The compiler failed in an unforeseen way, or could not be started.
    """
    if limits is None:
        limits = Limits.for_model(sum(path.stat().st_size for path in files_below(model_dir).values()))
    with _Pipe() as pipe, tempfile.TemporaryDirectory(prefix="compiler-", dir=output_dir.parent) as home:
        order = Order(
            compiler=compiler_name,
            model_dir=str(model_dir.absolute()),
            output_dir=str(output_dir.absolute()),
            hidden=str(hidden.resolve()),
            request=request,
            report=pipe.writing,
            memory=limits.memory,
            file_size=limits.file_size,
            cpu_seconds=int(seconds * CPU_COUNT) + 60,
        )
        process = _start(order, Path(home))
        status = _wait(process, seconds=seconds, poll=poll)
        _conclude(compiler_name, status, pipe.read_report(), limits)


def clean_environment(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment of a compiler's process: a few harmless variables, and folders that the job owns.

    Args:
        environ: The worker's.
        home: The folder that `HOME` and `TMPDIR` name.
    """
    kept = {name: environ[name] for name in PASSED_VARIABLES if name in environ}
    path = os.pathsep.join(entry for entry in sys.path if Path(entry).is_absolute())  # for the plug-ins that we see
    python = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **python, "HOME": str(home), "TMPDIR": str(home)}


class _Pipe:
    """What the report comes through."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._reading)
        os.close(self.writing)

    def read_report(self) -> Report | None:
        """The report, if the process has left one. The pipe's end is not waited for: anybody may still hold it open."""
        os.set_blocking(self._reading, False)
        try:
            return msgspec.json.decode(os.read(self._reading, REPORT_SIZE_MAX), type=Report)
        except (BlockingIOError, msgspec.DecodeError):
            return None


def _start(order: Order, home: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603 - our own command
        tied([sys.executable, "-s", "-m", "edgepack.compilers.isolated"], by=signal.SIGKILL),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=home,
        env=clean_environment(os.environ, home),
        pass_fds=(order.report,),
        start_new_session=True,
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin:  # a process that is gone already is noticed when it is waited for
        process.stdin.write(msgspec.json.encode(order))
    return process


def _wait(process: subprocess.Popen[bytes], *, seconds: float, poll: Callable[[], None]) -> int:
    """Wait for the process's end.

    Its exit is seen through a pidfd, so that it is not reaped yet when its group is killed: until then the group's
    number cannot belong to anybody else.
    """
    deadline = time.monotonic() + seconds
    watch = os.pidfd_open(process.pid)
    try:
        poller = select.poll()
        poller.register(watch, select.POLLIN)
        while not poller.poll(1000 * max(0.0, min(POLL_SECONDS, deadline - time.monotonic()))):
            poll()
            if time.monotonic() >= deadline:
                raise CompilationTimeoutError(
                    "ClientError: The compilation took longer than MaxRuntimeInSeconds allows, and was ended."
                )
    finally:
        os.close(watch)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode


def _conclude(name: str, status: int, report: Report | None, limits: Limits) -> None:
    if report is None:
        raise CompilationError(f"ClientError: The compiler {name!r} {_crash(status, limits)} on this model.")
    if report.error is not None:
        if report.fault:
            raise CompilerFaultError(f"The compiler {name!r} failed: {report.error}")
        raise CompilationError(report.error)


def _crash(status: int, limits: Limits) -> str:
    if status >= 0:
        return f"ended with exit code {status} and without a result"
    try:
        how = signal.Signals(-status).name
    except ValueError:
        how = f"signal {-status}"
    if -status in (signal.SIGKILL, signal.SIGABRT):
        return f"was ended by {how}, most likely for want of memory (its limit is {limits.memory} bytes),"
    return f"crashed with {how}"
