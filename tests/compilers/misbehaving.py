"""Compilers as bad as compilers can be. Each is asked for by name only."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

from edgepack.compilers.base import CompilationError, CompilationRequest


class Misbehaving:
    name = ""
    frameworks: ClassVar[frozenset[str]] = frozenset()
    copies_archive = False

    def refuses(self, request: CompilationRequest) -> str | None:
        return None if request.compiler_options.get("compiler") == self.name else "not asked for"

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        raise NotImplementedError


class Hangs(Misbehaving):
    """Starts a child, says who they are, and neither ends nor listens to SIGTERM."""

    name = "hangs"

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        (output_dir / "pids.partial").write_text(json.dumps([os.getpid(), child.pid]))
        (output_dir / "pids.partial").rename(output_dir / "pids")
        time.sleep(1000)


class Crashes(Misbehaving):
    name = "crashes"

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        ctypes.string_at(0)


class Exits(Misbehaving):
    name = "exits"

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        os._exit(0)


class Refuses(Misbehaving):
    name = "refuses"

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        raise CompilationError("ClientError: the model is no good: ☃" + "!" * 100_000)


class Fails(Misbehaving):
    name = "fails"

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        raise ZeroDivisionError("a mistake in the compiler")


class Devours(Misbehaving):
    """Takes all memory there is."""

    name = "devours"

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        hoard = []
        while True:
            hoard.append(bytearray(64 << 20))


class Floods(Misbehaving):
    """Writes one endless file."""

    name = "floods"

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        with (output_dir / "flood").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))


class Spies(Misbehaving):
    """Writes down all it can find out."""

    name = "spies"

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        seen = {
            "environ": dict(os.environ),
            "cwd": os.getcwd(),  # noqa: PTH109 - as text
            "parent": _try(lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes()),
            "secret": _try(lambda: Path(str(request.compiler_options["secret"])).read_bytes()),
            "beside": _try(lambda: (output_dir.parent / "new").write_bytes(b"")),
            "network": _try(lambda: socket.create_connection(("127.0.0.1", request.compiler_options["port"]))),
            "kill": _try(lambda: os.kill(os.getppid(), 0)),
        }
        (output_dir / "seen.json").write_text(json.dumps(seen))


def _try(act: object) -> str:
    try:
        act()  # type: ignore[operator]
    except OSError as error:
        return type(error).__name__
    return "possible"


class Echoes(Misbehaving):
    """Writes down the request."""

    name = "echoes"

    def compile(self, model_dir: Path, output_dir: Path, request: CompilationRequest) -> None:
        (output_dir / "request").write_text(repr(request))
        print("noise on standard output", flush=True)


COMPILERS = {cls.name: cls for cls in Misbehaving.__subclasses__()}
