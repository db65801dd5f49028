"""The compiler `none`: for models that were compiled elsewhere and only need to be packaged."""

from pathlib import Path
from typing import NoReturn

from edgepack.compilers.base import CompilationRequest


class PassThrough:
    """Passes the archive on, byte for byte; whoever reads `copies_archive` scans and copies it without unpacking it.

    Takes every framework and every target, but only when `CompilerOptions` asks for it by name: a model that no
    compiler takes should fail, not look compiled.
    """

    name = "none"
    frameworks: frozenset[str] = frozenset()
    copies_archive = True

    def refuses(self, request: CompilationRequest) -> str | None:
        """Refuses what did not ask for it by name."""
        if request.compiler_options.get("compiler") == self.name:
            return None
        return 'it passes archives through unchanged, and only if CompilerOptions says {"compiler": "none"}'

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> NoReturn:
        """Never called: see `copies_archive`."""
        raise NotImplementedError("The archive is to be copied, not unpacked.")
