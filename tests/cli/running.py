"""The installed command, run as a user runs it: in a process of its own, into pipes or on a terminal."""

import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from models import tar_gz

EDGEPACK = str(Path(sys.executable).with_name("edgepack"))


@dataclass
class Ran:
    """What a command printed."""

    stdout: str
    stderr: str


def edgepack(*arguments: str | Path, code: int = 0, folder: Path, stdin: bytes | None = None) -> Ran:
    """Run the command in a folder and require its exit code."""
    done = subprocess.run(
        [EDGEPACK, *map(str, arguments)], cwd=folder, input=stdin, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return Ran(done.stdout.decode(), done.stderr.decode())


def make_example(folder: Path, files: dict[str, bytes], *, data: str = "edgepack-data") -> Path:
    """Put a model, its package and the certificate to trust into a folder; the folder.

    Args:
        folder: The folder.
        files: The model's.
        data: The data folder in it, with the signing keys.
    """
    (folder / "model.tar.gz").write_bytes(tar_gz(files))
    package = ("package", "model.tar.gz", "--name", "model", "--version", "1.0", "--data", data)
    edgepack(*package, "--out", "package.tar.gz", folder=folder)
    edgepack("keys", "export-trust", "--data", data, "--out", "root.pem", folder=folder)
    return folder


def on_terminal(folder: Path, *arguments: str, code: int = 0) -> str:
    """What a command shows on a terminal of 200 columns; its exit code is required."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
    with subprocess.Popen(
        [EDGEPACK, *arguments], cwd=folder, stdin=terminal, stdout=terminal, stderr=terminal, env=environment
    ) as process:
        os.close(terminal)
        shown = b""
        try:
            while part := os.read(controller, 65536):
                shown += part
        except OSError:  # Linux's end of file of a terminal whose last user has gone
            pass
        os.close(controller)
    assert process.returncode == code, shown
    return shown.decode()
