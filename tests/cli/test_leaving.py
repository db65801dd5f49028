"""SIGTERM and Ctrl-C end the local commands at once, whatever they wait for, and nothing is left behind."""

import fcntl
import gzip
import os
import shutil
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.running import EDGEPACK, make_example
from models import tar_gz

PACKAGE = ("package", "--name", "model", "--version", "1.0", "--data", "keys")
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
BOTH = pytest.mark.parametrize("number", CODES, ids=["SIGTERM", "SIGINT"])
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and its package, larger than what a pipe holds, and what verifies it."""
    return make_example(tmp_path_factory.mktemp("example"), {"weights": os.urandom(MIB)}, data="keys")


@pytest.fixture
def folder(example: Path, tmp_path: Path) -> Path:
    shutil.copytree(example, tmp_path, dirs_exist_ok=True)
    return tmp_path


def started(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    command = [EDGEPACK, *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )


def leaves(process: "subprocess.Popen[bytes]", number: signal.Signals) -> str:
    """Require the exit code that the signal has, soon; what was said meanwhile."""
    with process:
        process.send_signal(number)
        try:
            assert process.wait(10) == CODES[number]
        finally:
            process.kill()
        assert process.stderr is not None
        return process.stderr.read().decode()


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def feed(process: "subprocess.Popen[bytes]", data: bytes) -> None:
    """Write all of it, and wait until it has been read; the pipe stays open."""
    assert process.stdin is not None
    pipe = process.stdin.fileno()
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]
    wait_for(lambda: fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)) == bytes(4))
    time.sleep(0.1)


@BOTH
@pytest.mark.parametrize("size", [0, 64 * 1024, 900_000])
def test_packaging_a_stalled_pipe(folder: Path, number: signal.Signals, size: int) -> None:
    before = sorted(folder.iterdir())
    process = started(folder, *PACKAGE, "-", "--out", "other.tar.gz")
    wait_for(lambda: any(path.name.startswith(".other.tar.gz.") for path in folder.iterdir()))
    feed(process, (folder / "model.tar.gz").read_bytes()[:size])
    assert "Traceback" not in leaves(process, number)
    assert sorted(folder.iterdir()) == before


@BOTH
@pytest.mark.parametrize("size", [64 * 1024, 900_000])
@pytest.mark.parametrize(
    "command", [("verify", "-", "--trust", "root.pem"), ("inspect", "-")], ids=["verify", "inspect"]
)
def test_reading_a_stalled_package(folder: Path, number: signal.Signals, size: int, command: tuple[str, ...]) -> None:
    if command[0] == "inspect":
        size = 600  # as much as ends within the manifest
    process = started(folder, *command)
    feed(process, (folder / "package.tar.gz").read_bytes()[:size])
    assert "Traceback" not in leaves(process, number)


@BOTH
def test_in_the_middle_of_a_file(folder: Path, number: signal.Signals) -> None:
    """Written in one pass where the file system can."""
    (folder / "model.tar.gz").write_bytes(tar_gz({"weights": os.urandom(MIB) * 256}, level=0))
    before = sorted(folder.iterdir())
    process = started(folder, *PACKAGE, "model.tar.gz", "--out", "other.tar.gz")
    wait_for(lambda: any(path.name.startswith(".other.tar.gz.") for path in folder.iterdir()))
    assert "Traceback" not in leaves(process, number)
    assert sorted(folder.iterdir()) == before


@BOTH
def test_while_recompressing(folder: Path, number: signal.Signals) -> None:
    model = tar_gz({"weights": os.urandom(MIB) * 128}, level=0)
    tar = gzip.decompress(model)
    (folder / "model.tar.gz").write_bytes(gzip.compress(tar[:1000], 0) + gzip.compress(tar[1000:], 0))
    before = sorted(folder.iterdir())
    process = started(folder, *PACKAGE, "model.tar.gz", "--out", "other.tar.gz")
    assert process.stderr is not None
    assert b"recompressing" in process.stderr.readline()
    assert "Traceback" not in leaves(process, number)
    assert sorted(folder.iterdir()) == before


@BOTH
def test_writing_a_pipe_that_nobody_reads(folder: Path, number: signal.Signals) -> None:
    process = started(folder, *PACKAGE, "model.tar.gz", "--out", "-")
    assert process.stdout is not None
    assert process.stdout.read(1)
    assert "Traceback" not in leaves(process, number)


@BOTH
def test_further_signals_do_not_disturb_the_first(folder: Path, number: signal.Signals) -> None:
    before = sorted(folder.iterdir())
    process = started(folder, *PACKAGE, "-", "--out", "other.tar.gz")
    feed(process, (folder / "model.tar.gz").read_bytes()[: 64 * 1024])
    while process.poll() is None:
        process.send_signal(number)
    told = leaves(process, number)
    assert not any(word in told for word in ("Traceback", "Exception ignored"))
    assert sorted(folder.iterdir()) == before


def test_a_background_job_of_a_shell_ignores_ctrl_c(folder: Path) -> None:
    command = ["sh", "-c", f"trap '' INT; exec {EDGEPACK} verify - --trust root.pem"]
    package = (folder / "package.tar.gz").read_bytes()
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        feed(process, package[:900_000])
        process.send_signal(signal.SIGINT)
        assert b"verified" in process.communicate(package[900_000:], timeout=30)[0]
    assert process.returncode == 0
