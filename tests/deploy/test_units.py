"""The systemd units: systemd takes them, their command lines start what they say, and the times in them suffice."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.reading import INSTALLED, STATE, UNITS, require_command, require_setting, unit
from driving import compiled
from edgepack.cli.children import STOP_SECONDS as WORKERS_SECONDS
from edgepack.objects.embedded import STOP_SECONDS as STORE_SECONDS
from edgepack.settings import Settings
from edgepack.tether import tied
from edgepack.wire.server import SHUTDOWN_SECONDS
from harness import EDGEPACK, RunningServer, settings_of, start_server
from postgres import PostgresServer
from stores import running_store

SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
DRAIN_SECONDS = 60
LANDLOCK = {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_them(tmp_path: Path) -> None:
    program = tmp_path / "edgepack"
    program.symlink_to("/bin/true")
    for path in UNITS.glob("*.*"):
        (tmp_path / path.name).write_text(path.read_text().replace(INSTALLED, str(program)))
    units = [str(path) for path in tmp_path.glob("*.[st]*") if path.suffix in {".service", ".timer"}]
    assert len(units) == 5
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd is not installed")
def test_systemd_makes_their_user(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    command = ["systemd-sysusers", f"--root={tmp_path}", str(UNITS / "edgepack.sysusers")]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "etc" / "passwd").read_text().startswith("edgepack:x:")
    assert all(unit(name)["User"] == ["edgepack"] for name in SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_what_they_run_is_there(name: str) -> None:
    program, *arguments = shlex.split(unit(name)["ExecStart"][0])
    assert program == INSTALLED
    require_command(arguments)
    assert f"{STATE}/data" in arguments
    assert unit(name)["StateDirectory"] == [Path(STATE).name]
    assert unit(name)["EnvironmentFile"][0].removeprefix("-") == "/etc/edgepack/edgepack.env"


@pytest.mark.parametrize("name", SERVICES)
def test_they_are_confined_but_for_what_confines_compilers(name: str) -> None:
    found = unit(name)
    assert found["NoNewPrivileges"] == ["yes"]
    assert found["ProtectSystem"] == ["strict"]
    assert found["CapabilityBoundingSet"] == [""]
    assert found["UMask"] == ["0077"]
    assert set(found["SystemCallFilter"][0].split()) >= LANDLOCK


def test_the_example_of_settings_has_settings() -> None:
    lines = [line for line in (UNITS / "edgepack.env.example").read_text().splitlines() if line and line[0] != "#"]
    assert len(lines) > 5
    for line in lines:
        require_setting(line.partition("=")[0])


def test_a_stop_has_the_time_that_it_takes() -> None:
    assert unit("edgepack-worker@.service")["Environment"] == [f"EDGEPACK_DRAIN_SECONDS={DRAIN_SECONDS}"]
    times = {name: int(unit(name)["TimeoutStopSec"][0]) for name in SERVICES if "TimeoutStopSec" in unit(name)}
    assert times["edgepack.service"] > SHUTDOWN_SECONDS + Settings().drain_seconds + WORKERS_SECONDS + STORE_SECONDS
    assert times["edgepack-api.service"] > 2 * (SHUTDOWN_SECONDS + 10)
    assert times["edgepack-worker@.service"] > DRAIN_SECONDS + WORKERS_SECONDS
    assert all(unit(name)["KillMode"] == ["mixed"] for name in times)


def flags(name: str) -> list[str]:
    """What a unit's command line has but for the data folder."""
    arguments = shlex.split(unit(name)["ExecStart"][0])[2:]
    assert arguments[-2:] == ["--data", f"{STATE}/data"] or "--older-than" in arguments
    return [argument for argument in arguments if argument not in {"--data", f"{STATE}/data"}]


@contextmanager
def started(name: str, data: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A unit's command line on another data folder, ended as systemd ends it."""
    command = shlex.split(unit(name)["ExecStart"][0].replace(f"{STATE}/data", str(data)).removeprefix(INSTALLED))
    with (data.parent / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(tied([*EDGEPACK, *command]), env=os.environ | environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(int(unit(name)["TimeoutStopSec"][0])) == 0


@pytest.mark.server
def test_the_command_lines_run_a_site(tmp_path: Path, postgres: PostgresServer) -> None:
    database = postgres.new_database()
    with running_store(tmp_path / "s3") as store:
        environment = settings_of(database, store.address)
        api: RunningServer = start_server(
            tmp_path / "data", *flags("edgepack-api.service"), database=database, store=store.address
        )
        try:
            with started("edgepack-worker@.service", api.data, environment):
                compiled(api, "source")
        finally:
            api.stop()
        assert api.process.returncode == 0
    prune = [*flags("edgepack-prune.service"), "--data", str(api.data)]
    done = subprocess.run(
        [*EDGEPACK, "prune", *prune], env=os.environ | environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("forgot 0 edge packaging jobs")


@pytest.mark.server
def test_the_command_line_runs_all_in_one(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", *flags("edgepack.service"))
    server.stop()
    assert server.process.returncode == 0
