"""A compiler may hang, crash, lie, devour and spy: the worker goes on, and the job gets its reason."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import psutil  # type: ignore[import-untyped]  # it has no stubs of its own
import pytest

from edgepack.compilers import confinement
from edgepack.compilers.base import CompilationError, CompilationRequest, CompilationTimeoutError
from edgepack.compilers.confinement import SCOPE_VERSION, landlock_version
from edgepack.compilers.isolation import CompilerFaultError, Limits, run_isolated

MIB = 1 << 20

pytestmark = pytest.mark.usefixtures("plugins")
Folders = tuple[Path, Path]


class StopError(Exception):
    """What a worker raises when its job is stopped."""


def asking(name: str, **options: object) -> CompilationRequest:
    return CompilationRequest(framework="ONNX", target_device="ml_c5", compiler_options={"compiler": name, **options})


def run(
    name: str,
    folders: Folders,
    *,
    seconds: float = 60,
    poll: Callable[[], None] = lambda: None,
    limits: Limits | None = None,
    **options: object,
) -> None:
    hidden = folders[0].parent
    run_isolated(name, *folders, asking(name, **options), seconds=seconds, poll=poll, hidden=hidden, limits=limits)


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def assert_all_gone(pids: list[int]) -> None:
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if is_running(pid)], timeout=10)
    assert [process for process in alive if is_running(process.pid)] == []


def test_the_request_arrives_and_noise_does_not_matter(folders: Folders) -> None:
    run("echoes", folders, umlaut="ä", nested={"list": [1, None, True]})
    assert (folders[1] / "request").read_text() == repr(asking("echoes", umlaut="ä", nested={"list": [1, None, True]}))


def test_nothing_is_left_beside_the_output(folders: Folders) -> None:
    before = sorted(folders[1].parent.iterdir())
    run("echoes", folders)
    assert sorted(folders[1].parent.iterdir()) == before


def test_no_descriptor_leaks(folders: Folders) -> None:
    own = psutil.Process()
    run("echoes", folders)
    before = own.num_fds()
    run("echoes", folders)
    with pytest.raises(CompilationError):
        run("refuses", folders)
    assert own.num_fds() == before


def test_time_runs_out(folders: Folders) -> None:
    with pytest.raises(CompilationTimeoutError, match=r"^ClientError: .*MaxRuntimeInSeconds"):
        run("hangs", folders, seconds=3)
    assert_all_gone(json.loads((folders[1] / "pids").read_text()))


def test_what_poll_raises_comes_out_and_nothing_lives_on(folders: Folders) -> None:
    def stop_once_it_hangs() -> None:
        if (folders[1] / "pids").exists():
            raise StopError

    with pytest.raises(StopError):
        run("hangs", folders, poll=stop_once_it_hangs)
    assert_all_gone(json.loads((folders[1] / "pids").read_text()))


def test_it_dies_with_its_worker(folders: Folders) -> None:
    worker = textwrap.dedent(
        f"""
        import os
        from pathlib import Path
        from edgepack.compilers.base import CompilationRequest
        from edgepack.compilers.isolation import run_isolated
        out = Path({str(folders[1])!r})
        def die_once_it_hangs():
            if (out / "pids").exists():
                os._exit(7)
        request = CompilationRequest(framework="ONNX", target_device="ml_c5", compiler_options={{"compiler": "hangs"}})
        run_isolated("hangs", Path({str(folders[0])!r}), out, request, seconds=60, poll=die_once_it_hangs,
            hidden=out.parent)
        """
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", worker], env=environment, check=False).returncode == 7
    compiler, its_child = json.loads((folders[1] / "pids").read_text())
    try:
        assert_all_gone([compiler])
    finally:
        if is_running(its_child):  # the kernel ties the compiler to the worker, not what the compiler started
            psutil.Process(its_child).kill()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("crashes", "ClientError: The compiler 'crashes' crashed with SIGSEGV on this model."),
        ("exits", "ClientError: The compiler 'exits' ended with exit code 0 and without a result on this model."),
    ],
)
def test_a_crash_is_told_as_one(name: str, message: str, folders: Folders) -> None:
    with pytest.raises(CompilationError) as caught:
        run(name, folders)
    assert caught.value.message == message


def test_a_refusal_keeps_its_words_but_not_its_length(folders: Folders) -> None:
    with pytest.raises(CompilationError, match="^ClientError: the model is no good: ☃!!") as caught:
        run("refuses", folders)
    assert len(caught.value.message) < 5000


def test_a_mistake_in_the_compiler_is_not_blamed_on_the_model(folders: Folders) -> None:
    with pytest.raises(CompilerFaultError, match="ZeroDivisionError: a mistake in the compiler"):
        run("fails", folders)


def test_memory_is_limited(folders: Folders) -> None:
    with pytest.raises(CompilationError, match="memory"):
        run("devours", folders, limits=Limits(memory=512 * MIB, file_size=MIB))


def test_files_are_limited(folders: Folders) -> None:
    with pytest.raises((CompilationError, CompilerFaultError), match="File too large"):
        run("floods", folders, limits=Limits(memory=1024 * MIB, file_size=5 * MIB))
    assert (folders[1] / "flood").stat().st_size == 5 * MIB


def test_the_environment_holds_no_credentials(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not tell")
    monkeypatch.setenv("EDGEPACK_DATABASE", "postgresql://user:password@host/db")
    run("spies", folders, secret="/none", port=1)
    seen = json.loads((folders[1] / "seen.json").read_text())
    assert not [name for name in seen["environ"] if name.startswith(("AWS_", "EDGEPACK_"))]
    assert seen["environ"]["HOME"] == seen["environ"]["TMPDIR"] == seen["cwd"]


@pytest.mark.skipif(landlock_version() < SCOPE_VERSION, reason="this kernel's Landlock is too old")
def test_files_network_and_other_processes_are_out_of_reach(folders: Folders) -> None:
    secret = folders[0].parent / "signing-key.pem"
    secret.write_text("do not tell")
    with socket.create_server(("127.0.0.1", 0)) as server:
        run("spies", folders, secret=str(secret), port=server.getsockname()[1])
    seen = json.loads((folders[1] / "seen.json").read_text())
    assert {seen[what] for what in ("parent", "secret", "beside", "network", "kill")} == {"PermissionError"}


@pytest.mark.skipif(landlock_version() < 1, reason="this kernel has no Landlock")
def test_keys_below_a_folder_of_the_system_are_out_of_reach_too(folders: Folders) -> None:
    with tempfile.TemporaryDirectory(dir="/opt") as data:
        secret = Path(data) / "signing-key.pem"
        secret.write_text("do not tell")
        request = asking("spies", secret=str(secret), port=1)
        run_isolated("spies", *folders, request, seconds=60, poll=lambda: None, hidden=Path(data))
    assert json.loads((folders[1] / "seen.json").read_text())["secret"] == "PermissionError"


def test_what_lies_beside_what_is_hidden_is_still_seen(tmp_path: Path) -> None:
    for name in ("kept", "data/keys"):
        (tmp_path / "opt" / name).mkdir(parents=True)
    hidden = (tmp_path / "opt" / "data").resolve()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confinement, "SYSTEM_FOLDERS", (str(tmp_path / "opt"),))
        seen = confinement.readable_paths(hidden=hidden)
    assert tmp_path / "opt" / "kept" in seen
    assert not [path for path in seen if hidden.is_relative_to(path) or path.is_relative_to(hidden)]


def test_a_model_archive_cannot_bring_modules(folders: Folders) -> None:
    for folder in folders:
        (folder / "msgspec.py").write_text("raise SystemExit('the archive was imported')")
    run("echoes", folders)


def test_an_unknown_compiler_is_named(folders: Folders) -> None:
    with pytest.raises(CompilationError, match="There is no compiler 'no such'"):
        run("no such", folders)


def test_poll_is_asked_while_it_runs(folders: Folders) -> None:
    def stop() -> NoReturn:
        raise StopError

    with pytest.raises(StopError):
        run("hangs", folders, poll=stop)
