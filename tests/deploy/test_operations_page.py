"""What docs/operations.md tells operators to type is run as it stands there, in order, in one folder."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.running import EDGEPACK
from deploy.reading import ROOT
from driving import compiled, packaged
from harness import start_server
from postgres import PostgresServer, with_programs
from stores import RunningStore, running_store

pytestmark = pytest.mark.server

PAGE = (ROOT / "docs" / "operations.md").read_text()
BLOCKS: list[str] = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

KEYS, EXPIRY = "mv ./site/keys/root.key.pem ./offline/", "-checkend"
INSTALL, ALL_IN_ONE, SITE = "systemd-sysusers", "enable --now edgepack.service", "enable --now edgepack-api.service"
SECRETS = "create secret generic edgepack-keys"
BACKUP, ENCRYPTED, RESTORE = "systemctl stop edgepack", "age --recipients-file", "edgepack.tar --data ./restored"
DRILL = "drill-package.tar.gz"
SITE_BACKUP, SITE_RESTORE = '--data ./api --database "$EDGEPACK_DATABASE"', "createdb"
RETENTION = "--dry-run"
TYPED = (
    *(KEYS, EXPIRY, INSTALL, ALL_IN_ONE, SITE, SECRETS, BACKUP, ENCRYPTED, RESTORE, DRILL),
    *(SITE_BACKUP, SITE_RESTORE, RETENTION),
)
"""Words by which each block is known."""

STAND_INS = {
    "systemctl": 'echo "systemctl $*" >> "$CALLS"',
    "systemd-sysusers": 'echo systemd-sysusers >> "$CALLS"',
    "runuser": 'test "$1 $2 $3" = "-u edgepack --" && shift 3 && exec "$@"',
    "kubectl": """for each; do case $each in --from-file=*) test -s "${each#*=}";; esac; done
echo "kubectl $*" >> "$CALLS" """,
    "age": 'test "$1" = --recipients-file && exec cat',
}
"""What is not on every machine, or would change it. Whatever files they are told of must be there."""

ELSEWHERE = ("/var/lib/edgepack", "/var/backups", "/etc/edgepack", "/etc/sysusers.d", "/etc/systemd", "/opt/edgepack")
"""Folders of the page that are made below the test's own."""


@dataclass
class Typing:
    """Somebody who types what the page says."""

    folder: Path
    environment: dict[str, str]

    def type(self, block: str) -> str:
        for path in ELSEWHERE:
            block = re.sub(rf"(?<![\w.]){path}", f"{self.folder}{path}", block)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=150,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        told: str = done.stdout
        return told

    @property
    def calls(self) -> str:
        return (self.folder / "calls").read_text()


def block_with(words: str) -> str:
    """The one block with these words in it."""
    (found,) = [block for block in BLOCKS if words in block]
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    with running_store(tmp_path_factory.mktemp("s3") / "s3") as running:
        yield running


@pytest.fixture(scope="module")
def typing(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Typing:
    """A folder with the checkout's files, a data folder with a job done, and the stand-ins on the PATH."""
    folder = tmp_path_factory.mktemp("operator")
    (folder / "bin").mkdir()
    for name, script in STAND_INS.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\nset -e\n{script}\n")
        (folder / "bin" / name).chmod(0o755)
    (folder / "bin" / "edgepack").symlink_to(EDGEPACK)
    (folder / "bin" / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "bin" / "python3").chmod(0o755)
    (folder / "deploy").symlink_to(ROOT / "deploy")
    for path in ("var/lib/edgepack", "var/backups", "etc/edgepack", "etc/systemd/system"):
        (folder / path).mkdir(parents=True)
    server = start_server(folder / "var" / "lib" / "edgepack" / "data")
    compiled(server, "source")
    assert packaged(server, "done", "source")["EdgePackagingJobStatus"] == "COMPLETED"
    server.stop()
    programs = with_programs(os.environ)
    if not shutil.which("createdb", path=programs["PATH"]):
        raise AssertionError("no createdb")
    environment = programs | {"PATH": f"{folder / 'bin'}:{programs['PATH']}", "CALLS": str(folder / "calls")}
    return Typing(folder, environment)


def test_keys_for_many_machines(typing: Typing) -> None:
    typing.type(block_with(KEYS))
    assert (typing.folder / "keys.tar").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in (typing.folder / "site" / "keys").iterdir()} == {
        "root.pem",
        "sealing.key",
        "signing.key.pem",
        "signing.pem",
    }
    typing.type(block_with(EXPIRY))


def test_units_are_installed(typing: Typing) -> None:
    install = [line for line in block_with(INSTALL).splitlines() if not line.startswith(("python3", "/opt"))]
    typing.type("\n".join(install))
    installed = typing.folder / "etc" / "systemd" / "system"
    assert {path.name for path in installed.iterdir()} >= {"edgepack.service", "edgepack-prune.timer"}
    assert (typing.folder / "etc" / "edgepack" / "edgepack.env").stat().st_mode & 0o777 == 0o600
    for words in (ALL_IN_ONE, SITE):
        typing.type(block_with(words))
        for unit in re.findall(r"edgepack[-a-z]*(?:@)?[0-9]*\.(?:service|timer)", block_with(words)):
            assert (installed / re.sub("@[0-9]+", "@", unit)).exists(), unit


def test_secrets_are_made_of_files_that_are_there(typing: Typing) -> None:
    typing.type(block_with(SECRETS))
    assert "apply --kustomize deploy/kubernetes" in typing.calls


def test_backup_restore_and_drill(typing: Typing) -> None:
    typing.type(block_with(BACKUP))
    assert typing.calls.index("systemctl stop edgepack") < typing.calls.index("systemctl start edgepack")
    typing.type(block_with(ENCRYPTED))
    assert (typing.folder / "edgepack.tar.age").stat().st_size > 100_000
    typing.type(block_with(RESTORE))
    told = typing.type(block_with(DRILL))
    assert "verified" in told
    assert not (typing.folder / "drill").exists()


def test_backup_and_restore_of_a_site(typing: Typing, postgres: PostgresServer, store: RunningStore) -> None:
    database = postgres.new_database()
    shutil.copytree(typing.folder / "site", typing.folder / "api")
    server = start_server(typing.folder / "api", "--workers", "0", database=database, store=store.address)
    try:
        typing.environment["EDGEPACK_DATABASE"] = database
        typing.type(block_with(SITE_BACKUP))
    finally:
        server.stop()
    maintenance = database.rpartition("/")[0]
    del typing.environment["EDGEPACK_DATABASE"]
    typing.environment["MAINTENANCE_URL"] = f"{maintenance}/postgres"
    typing.environment["RESTORED_DATABASE"] = f"{maintenance}/edgepack_restored"
    typing.type(block_with(SITE_RESTORE))
    again = start_server(
        typing.folder / "restored-site",
        "--workers",
        "0",
        database=typing.environment["RESTORED_DATABASE"],
        store=store.address,
    )
    again.stop()
    assert again.environment["AWS_ACCESS_KEY_ID"] == server.environment["AWS_ACCESS_KEY_ID"]


def test_retention(typing: Typing) -> None:
    assert typing.type(block_with(RETENTION)).startswith("would forget 0 edge packaging jobs")


def test_every_block_is_typed_by_one_of_these_tests() -> None:
    assert [block for block in BLOCKS if not any(words in block for words in TYPED)] == []
    assert len(BLOCKS) == len(TYPED)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
    headings = {
        re.sub(r"[^a-z -]", "", each.lower()).replace(" ", "-") for each in re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings
