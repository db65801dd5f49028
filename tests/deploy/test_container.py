"""The container file: linted, and its steps taken one by one, as there need not be an engine to build it with."""

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from deploy.reading import CONTAINER, ROOT, STATE, instructions, require_command, require_setting
from edgepack.tether import tied

IMAGE = ROOT / ".venvs" / "image"
"""An environment with the image's locked requirements, which `make test` makes."""

PINNED = re.compile(r"^([a-z0-9.-]+)==([^ ;]+)", re.MULTILINE)


def argument(instruction: str) -> str:
    return dict(instructions())[instruction]


def environment() -> dict[str, str]:
    last = argument("ENV")
    return dict(pair.split("=", 1) for pair in last.split())


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, CONTAINER / "Containerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_is_what_orchestrators_expect() -> None:
    bases = [line for name, line in instructions() if name == "FROM"]
    assert all(re.search(r":[0-9]+\.[0-9]+\.[0-9]+-slim-", base) for base in bases)
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", argument("USER"))
    assert argument("STOPSIGNAL") == "SIGTERM"
    assert argument("VOLUME") == STATE
    assert environment()["EDGEPACK_DATA"].startswith(f"{STATE}/"), "a restore cannot replace a mount point"
    for variable in environment():
        if variable.startswith("EDGEPACK_"):
            require_setting(variable)
    require_command(["serve"])


def test_its_versions_are_those_that_are_tested() -> None:
    tested = dict(PINNED.findall((ROOT / "requirements.lock").read_text()))
    for lock in ("image.lock", "build.lock"):
        of_image = dict(PINNED.findall((CONTAINER / lock).read_text()))
        assert len(of_image) > 5
        assert of_image.items() <= tested.items()


def test_what_it_copies_is_there() -> None:
    for name, line in instructions():
        if name == "COPY" and "--from" not in line:
            assert all((ROOT / source).exists() for source in line.split()[:-1]), line


@pytest.mark.clients
def test_the_wheel_runs_with_the_locked_requirements_alone(tmp_path: Path) -> None:
    """Build, install, start, health check, stop: in a clean environment, and, where that can be, as nobody."""
    pip, dist = ("-m", "pip", "--disable-pip-version-check"), str(tmp_path / "dist")
    build = [sys.executable, *pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", dist, str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    python = str(IMAGE / "bin" / "python")
    install = [python, *pip, "install", "--no-deps", "--no-index", "--force-reinstall", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    data = tmp_path / "state" / "data"
    data.parent.mkdir()
    user = as_nobody(data.parent)
    clean = {name: value for name, value in environment().items() if name.startswith("EDGEPACK_")}
    clean |= {"PATH": "/usr/bin:/bin", "EDGEPACK_DATA": str(data), "EDGEPACK_PORT": "0", "EDGEPACK_S3_PORT": "0"}
    process = subprocess.Popen(
        tied([*user, str(IMAGE / "bin" / "edgepack"), "serve"]),
        env=clean,
        cwd=data.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("edgepack ready"), ready
        (api,) = re.findall(r"api=(\S+)", ready)
        check = re.findall(r'CMD \["python", "-c", "(.*)"\]', argument("HEALTHCHECK"))[0]
        subprocess.run([python, "-c", check.replace("http://127.0.0.1:8480", api)], check=True)
        with urllib.request.urlopen(f"{api}/healthz") as answer:
            assert answer.status == 200
        assert data.stat().st_uid == data.parent.stat().st_uid
        process.send_signal(signal.Signals[argument("STOPSIGNAL")])
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def as_nobody(folder: Path) -> list[str]:
    """What runs a command as the image's user, and gives it the folder; nothing where it may not, or sees no Python."""
    user, _, group = argument("USER").partition(":")
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        return []
    prefix = [setpriv, f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs", "--inh-caps=-all"]
    seen = [folder, *folder.parents]
    starts_another = "import subprocess, sys; subprocess.run([sys.executable, '-V'], check=True)"
    if subprocess.run([*prefix, IMAGE / "bin" / "python", "-c", starts_another], capture_output=True).returncode:
        return []
    for each in seen:
        if not each.stat().st_mode & 0o005:
            each.chmod(each.stat().st_mode | 0o011)
    os.chown(folder, int(user), int(group))
    return prefix
