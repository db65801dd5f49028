"""`OutputConfig.CompilerOptions`: a JSON object, of which edgepack itself reads one key."""

from typing import Any

import msgspec

from edgepack.compilers.registry import known_compilers
from edgepack.errors import ValidationError

COMPILER = "compiler"
"""The key that names the compiler to use. All other keys are the compiler's own."""


def parse_compiler_options(text: str | None) -> dict[str, Any]:
    """Read and check the options.

    Args:
        text: `CompilerOptions` as the request has it; None and the empty string are no options.

    Returns:
        The options by key.

    Raises:
        ValidationError: It is not a JSON object, or names a compiler that is not installed.
    """
    if not text:
        return {}
    try:
        options = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValidationError(
            f"OutputConfig.CompilerOptions is not a JSON object: {error}.",
            advice='Write it as JSON with double quotes, for example {"compiler": "none"}.',
        ) from None
    _check_compiler(options)
    return options


def _check_compiler(options: dict[str, Any]) -> None:
    if COMPILER not in options:
        return
    name, known = options[COMPILER], known_compilers()
    if not isinstance(name, str):
        raise ValidationError("OutputConfig.CompilerOptions: the value of 'compiler' must be a string.")
    if name not in known:
        raise ValidationError(
            f"OutputConfig.CompilerOptions: there is no compiler {name!r}; the compilers here are {', '.join(known)}."
        )
