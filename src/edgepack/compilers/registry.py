"""Finding compilers: entry points of the group `edgepack.compilers`, in this distribution and in any other."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from edgepack.compilers.base import CompilationError, CompilationRequest, Compiler
from edgepack.compilers.targets import target_name
from edgepack.errors import StateError

GROUP = "edgepack.compilers"
OUR_MODULES = "edgepack."

WAY_OUT = 'compile it elsewhere and pass it through with CompilerOptions {"compiler": "none"}'
"""What always remains possible."""


class CompilerPluginError(StateError):
    """An installed compiler cannot be loaded. Whoever installed the plug-in acts."""

    code = "BrokenCompiler"
    advice = "Repair or uninstall the distribution that brings it."


def known_compilers() -> tuple[str, ...]:
    """The names of all installed compilers, in the order in which `choose` asks them."""
    return tuple(_entry_points())


def load_compiler(name: str) -> Compiler:
    """The compiler of this name.

    Raises:
        CompilationError: No installed distribution brings it.
        CompilerPluginError: It is installed but cannot be loaded, or is not a compiler.
    """
    point = _entry_points().get(name)
    if point is None:
        raise CompilationError(f"ClientError: There is no compiler {name!r}; there are {', '.join(known_compilers())}.")
    try:
        compiler: Any = point.load()()
    except Exception as error:  # a plug-in may raise anything
        raise CompilerPluginError(f"The compiler {name!r} ({point.value}) cannot be loaded: {error!r}.") from error
    if not isinstance(compiler, Compiler):
        raise CompilerPluginError(f"The entry point {name!r} ({point.value}) is not a compiler.")
    return compiler


def choose(request: CompilationRequest) -> Compiler:
    """The compiler for a request: the one that `CompilerOptions` names, else the first that does not refuse.

    Args:
        request: What is asked.

    Raises:
        CompilationError: The named compiler refuses, or all do. The message says why, and what is possible.
        CompilerPluginError: An installed compiler is broken.
    """
    wanted = request.compiler_options.get("compiler")
    if wanted is not None:
        compiler = load_compiler(str(wanted))
        if (reason := compiler.refuses(request)) is not None:
            raise CompilationError(f"ClientError: The compiler {wanted!r} cannot compile this model: {reason}.")
        return compiler
    reasons: list[str] = []
    frameworks: set[str] = set()
    for name in known_compilers():
        compiler = load_compiler(name)
        if (reason := compiler.refuses(request)) is None:
            return compiler
        frameworks |= compiler.frameworks
        if compiler.frameworks:
            reasons.append(f"{name}: {reason}")
    raise CompilationError(_nobody(request, sorted(frameworks), reasons))


def _nobody(request: CompilationRequest, frameworks: list[str], reasons: list[str]) -> str:
    asked = f"framework {request.framework} for the target {target_name(request)}"
    possible = f"frameworks that can be compiled here: {', '.join(frameworks) or 'none'}"
    return f"ClientError: No compiler takes {asked} ({'; '.join([*reasons, possible])}). Or {WAY_OUT}."


@cache
def _entry_points() -> dict[str, EntryPoint]:
    """Ours first, also among equal names: installing something never replaces a compiler that is there."""
    found = sorted(entry_points(group=GROUP), key=lambda point: (not point.value.startswith(OUR_MODULES), point.name))
    first: dict[str, EntryPoint] = {}
    for point in found:
        first.setdefault(point.name, point)
    return first
