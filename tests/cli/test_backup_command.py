"""`edgepack backup` and `restore` through the real commands: what is saved, and all that is refused."""

import datetime as dt
import hashlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cli.running import EDGEPACK, Ran, edgepack, on_terminal
from edgepack.cli.backup_format import FORMAT, INVENTORY, INVENTORY_DIGEST
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.migrate import upgrade
from edgepack.jobs.workflow import system_clock
from edgepack.keys.sealing import SecretBox
from edgepack.keys.signing import ensure_signing_keys
from edgepack.service.credentials import ensure_first_key, first_key
from harness import RunningServer
from postgres import DATABASES, SQLITE, PostgresServer, with_programs
from rows import packaging_row

ACCOUNT = "000000000000"


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", with_programs(os.environ)["PATH"])


def make_data(data: Path, url: str | None = None) -> tuple[str, str]:
    """A data folder as a server leaves it, with a job, keys and a store; its first access key."""
    ensure_signing_keys(data, now=dt.datetime.now(dt.UTC))
    (data / "store" / "data" / "deep" / "er").mkdir(parents=True)
    (data / "store" / "data" / "1.dat").write_bytes(os.urandom(100_000))
    (data / "store" / "data" / "deep" / "er" / ".hidden").write_bytes(b"")
    (data / "store" / "security.toml").write_text("of this place")
    with closing(Database(url or f"sqlite:///{data / 'edgepack.db'}")) as database:
        upgrade(database)
        with database.write() as connection:
            edge_packaging_jobs.insert(connection, packaging_row("a", status="FAILED"))
        return ensure_first_key(database, SecretBox.open(data), account_id=ACCOUNT, now=system_clock())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with such a data folder in it, and its backup."""
    make_data(tmp_path / "data")
    edgepack("backup", "--data", "data", "--out", "b.tar", folder=tmp_path)
    return tmp_path


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def restore(folder: Path, *more: str, source: str = "b.tar", code: int = 0) -> Ran:
    return edgepack("restore", source, "--data", "new", *more, folder=folder, code=code)


def nothing_restored(folder: Path) -> bool:
    return not (folder / "new").exists() and not list(folder.glob(".new.*"))


@pytest.mark.parametrize("kind", DATABASES)
def test_what_is_needed_comes_back_and_nothing_else(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls: list[str | None] = [None, None]
    if kind != SQLITE:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        urls = [postgres.new_database(), postgres.new_database()]
    key = make_data(tmp_path / "data", urls[0])
    of = [[f"--database={url}"] if url else [] for url in urls]
    told = edgepack("backup", "--data", "data", *of[0], "--out", "b.tar", folder=tmp_path)
    assert "objects: embedded" in told.stdout
    assert "private keys" in told.stderr
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    restore(tmp_path, *of[1])
    before, after = tree(tmp_path / "data"), tree(tmp_path / "new")
    assert {name for name in after if not name.startswith("edgepack.db")} == {
        "keys/root.key.pem",
        "keys/root.pem",
        "keys/sealing.key",
        "keys/signing.key.pem",
        "keys/signing.pem",
        "store/data/1.dat",
        "store/data/deep/er/.hidden",
    }
    assert all(after[name] == before[name] for name in after if name != "edgepack.db")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    with closing(Database(urls[1] or f"sqlite:///{tmp_path / 'new' / 'edgepack.db'}")) as database:
        assert first_key(database, SecretBox.load(tmp_path / "new"), account_id=ACCOUNT) == key
        with database.read() as connection:
            assert edge_packaging_jobs.named(connection, ACCOUNT, "a") is not None


def test_a_backup_passes_through_pipes(folder: Path) -> None:
    with subprocess.Popen([EDGEPACK, "backup", "--data=data", "--out=-"], cwd=folder, stdout=subprocess.PIPE) as backup:
        subprocess.run([EDGEPACK, "restore", "-", "--data=new"], cwd=folder, stdin=backup.stdout, check=True)
    assert backup.returncode == 0
    assert tree(folder / "new").keys() == {
        name for name in tree(folder / "data") if "security" not in name and "lock" not in name
    }


def test_both_tell_programs_and_terminals(folder: Path) -> None:
    made = json.loads(edgepack("backup", "--data=data", "--out=c.tar", "--json", folder=folder).stdout)
    assert made["size"] == (folder / "c.tar").stat().st_size
    assert (made["format"], made["database"], made["objects"]) == (FORMAT, "sqlite", "embedded")
    with tarfile.open(folder / "c.tar") as tar:
        for name, entry in made["files"].items():
            content = tar.extractfile(name)
            assert content is not None
            assert hashlib.sha256(content.read()).hexdigest() == entry["sha256"]
    restored = json.loads(restore(folder, "--json", source="c.tar").stdout)
    assert restored["files"] == made["files"]
    assert edgepack("backup", "--data=data", "--out=-", "--json", folder=folder, code=2).stderr
    assert "wrote d.tar" in on_terminal(folder, "backup", "--data=data", "--out=d.tar")
    assert "restored" in on_terminal(folder, "restore", "d.tar", "--data=other")


def test_the_database_is_one_moment_s_while_others_write(tmp_path: Path) -> None:
    """Two rows are written in each transaction; a copy that mixes moments has one of them alone."""
    make_data(tmp_path / "data")
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(tmp_path / "data" / "edgepack.db", isolation_level=None)) as connection:
            connection.execute("CREATE TABLE one(n, filling)")
            connection.execute("CREATE TABLE two(n, filling)")
            number = 0
            while not stop.is_set():
                number += 1
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO one VALUES (?, ?)", (number, bytes(20_000)))
                connection.execute("INSERT INTO two VALUES (?, ?)", (number, bytes(20_000)))
                connection.execute("COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        time.sleep(0.3)
        for number in range(3):
            edgepack("backup", "--data=data", f"--out={number}.tar", folder=tmp_path)
    finally:
        stop.set()
        writer.join()
    counts = []
    for number in range(3):
        edgepack("restore", f"{number}.tar", f"--data=new{number}", folder=tmp_path)
        with closing(sqlite3.connect(tmp_path / f"new{number}" / "edgepack.db")) as connection:
            one, two = (
                connection.execute(f"SELECT count(*), max(n) FROM {table}").fetchone() for table in ("one", "two")
            )
        assert one == two
        counts.append(one[0])
    assert counts == sorted(counts)
    assert counts[0] > 0


@pytest.mark.server
def test_a_running_server_s_store_is_not_copied(server: RunningServer, tmp_path: Path) -> None:
    told = edgepack("backup", "--data", server.data, "--out", "b.tar", folder=tmp_path, code=1).stderr
    assert "stop it, back up, and start it again" in told
    assert not list(tmp_path.iterdir())
    told = edgepack("backup", "--data", server.data, "--out", "b.tar", "--without-objects", folder=tmp_path).stdout
    assert "objects: left out" in told
    assert "objects: left out" in restore(tmp_path).stdout
    assert not (tmp_path / "new" / "store").exists()


def test_a_server_does_not_start_during_a_backup(folder: Path) -> None:
    with subprocess.Popen([EDGEPACK, "backup", "--data=data", "--out=-"], cwd=folder, stdout=subprocess.PIPE) as backup:
        assert backup.stdout is not None
        assert backup.stdout.read(1)
        done = edgepack("serve", "--data=data", "--port=0", "--s3-port=0", folder=folder, code=1)
        assert "Another edgepack server uses the data folder" in done.stderr
        backup.stdout.read()


def test_nothing_is_left_in_the_data_folder(folder: Path) -> None:
    before = set(tree(folder / "data"))
    edgepack("backup", "--data=data", "--out=c.tar", folder=folder)
    edgepack("backup", "--data=data", "--out=/dev/full", folder=folder, code=2)
    edgepack("backup", "--data=data", "--out=nowhere/c.tar", folder=folder, code=2)
    assert set(tree(folder / "data")) == before


def test_without_a_server_s_data_there_is_nothing_to_save(tmp_path: Path) -> None:
    assert "no server" in edgepack("backup", "--data=none", "--out=b.tar", folder=tmp_path, code=1).stderr
    edgepack("keys", "create", "--data=keys-only", folder=tmp_path)
    assert "no database" in edgepack("backup", "--data=keys-only", "--out=b.tar", folder=tmp_path, code=1).stderr
    assert not (tmp_path / "keys-only" / "edgepack.db").exists()
    told = edgepack("backup", "--data=keys-only", "--out=b.tar", "--without-database", folder=tmp_path).stdout
    assert "database: left out" in told
    restore(tmp_path)


def test_a_damaged_database_is_not_saved(folder: Path) -> None:
    path = folder / "data" / "edgepack.db"
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(content)
    told = edgepack("backup", "--data=data", "--out=c.tar", folder=folder, code=1).stderr
    assert "damaged" in told or "malformed" in told
    assert not (folder / "c.tar").exists()


def test_postgresql_s_program_tells_what_is_wrong(tmp_path: Path, postgres: PostgresServer) -> None:
    url = postgres.new_database()
    make_data(tmp_path / "data", url)
    edgepack("backup", "--data=data", "--out=b.tar", f"--database={url}", folder=tmp_path)
    for wrong, code, says in (
        ([], 2, "--database"),
        ([f"--database={url}"], 1, "is not empty"),
        ([f"--database={url}-of-nobody"], 1, "does not exist"),
    ):
        assert says in restore(tmp_path, *wrong, code=code).stderr
        assert nothing_restored(tmp_path)


def test_a_sqlite_backup_is_not_restored_into_postgresql(folder: Path, postgres: PostgresServer) -> None:
    assert "Leave --database out" in restore(folder, f"--database={postgres.new_database()}", code=2).stderr
    assert nothing_restored(folder)


def test_a_folder_with_something_in_it_is_not_restored_into(folder: Path) -> None:
    (folder / "new").mkdir()
    (folder / "new" / "mine").touch()
    assert "is not empty" in restore(folder, code=1).stderr
    assert tree(folder / "new") == {"mine": b""}
    (folder / "new" / "mine").unlink()
    restore(folder)
    assert "keys/root.pem" in tree(folder / "new")


def members(path: Path) -> Iterator[tuple[tarfile.TarInfo, int]]:
    with tarfile.open(path) as tar:
        for member in tar:
            yield member, member.offset_data


def test_a_flipped_bit_in_any_file_or_header_is_refused(folder: Path) -> None:
    whole = (folder / "b.tar").read_bytes()
    places = [place for member, at in members(folder / "b.tar") for place in (at - 512, at, at + member.size - 1)]
    assert len(places) > 24
    for place in sorted({place for place in places if place < len(whole)}):
        damaged = bytearray(whole)
        damaged[place] ^= 0x01
        (folder / "damaged.tar").write_bytes(damaged)
        told = restore(folder, source="damaged.tar", code=1).stderr
        assert "backup" in told
        assert "Traceback" not in told
        assert nothing_restored(folder)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 5000, -2048, -1025])
def test_what_was_cut_short_is_refused(folder: Path, size: int) -> None:
    (folder / "cut.tar").write_bytes((folder / "b.tar").read_bytes()[:size])
    told = restore(folder, source="cut.tar", code=1).stderr
    assert "damaged" in told or "no backup" in told or "cut short" in told
    assert nothing_restored(folder)


def rewritten(folder: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None], **inventory: object) -> str:
    """The backup with other members, whose inventory is right for them, or says what it is told to say."""
    with tarfile.open(folder / "b.tar") as tar:
        found = [(member, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    found, told = found[:-2], json.loads(found[-2][1])
    change(found)
    told["files"] = {
        member.name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} for member, content in found
    }
    text = json.dumps(told | inventory).encode()
    tail = ((INVENTORY, text), (INVENTORY_DIGEST, hashlib.sha256(text).hexdigest().encode()))
    with tarfile.open(folder / "changed.tar", "w") as tar:
        for member, content in found + [(tarfile.TarInfo(name), content) for name, content in tail]:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return "changed.tar"


def extra(name: str, content: bytes = b"", **changes: object) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    member = tarfile.TarInfo(name)
    for attribute, value in changes.items():
        setattr(member, attribute, value)
    return lambda found: found.append((member, content))


HOSTILE = {
    "above": extra("../outside", b"x"),
    "above from within": extra("keys/../../outside", b"x"),
    "absolute": extra("/tmp/edgepack-outside", b"x"),
    "elsewhere": extra("serve.lock", b"x"),
    "endpoints": extra("endpoints.json", b"{}"),
    "twice": extra("keys/root.pem", b"x"),
    "link": extra("keys/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": extra("keys/link", type=tarfile.LNKTYPE, linkname="keys/root.pem"),
    "device": extra("keys/device", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "pipe": extra("keys/pipe", type=tarfile.FIFOTYPE),
    "folder": extra("keys/folder", type=tarfile.DIRTYPE),
    "second database": extra("postgres.dump", b"x"),
    "below a file": extra("keys/root.pem/x", b"x"),
    "long": extra("keys/" + "x" * 1500, b"x"),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_archive_is_refused(folder: Path, how: str) -> None:
    told = restore(folder, source=rewritten(folder, HOSTILE[how]), code=1).stderr
    assert "Traceback" not in told
    assert nothing_restored(folder)
    assert not (folder / "outside").exists()
    assert not Path("/tmp/edgepack-outside").exists()


@pytest.mark.parametrize(
    ("inventory", "says"),
    [
        ({"format": FORMAT + 1}, f"has format {FORMAT + 1}; this edgepack knows {FORMAT}"),
        ({"schema": "9999"}, "a schema (9999) that this edgepack does not know"),
        ({"database": "postgresql"}, "not of the kind"),
        ({"files": {}}, "not what the inventory says"),
        ({"objects": "moon"}, "not one of edgepack"),
    ],
)
def test_an_inventory_that_does_not_fit_is_refused(folder: Path, inventory: dict[str, object], says: str) -> None:
    assert says in restore(folder, source=rewritten(folder, lambda _: None, **inventory), code=1).stderr
    assert nothing_restored(folder)


def without_keys(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    found[:] = [each for each in found if not each[0].name.startswith("keys/")]


def with_no_database(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    found[0] = (found[0][0], b"no database")


@pytest.mark.parametrize(
    ("change", "says"), [(without_keys, "holds no keys"), (with_no_database, "is damaged: file is not a database")]
)
def test_what_no_server_can_be_made_of_is_not_restored(
    folder: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None], says: str
) -> None:
    assert says in restore(folder, source=rewritten(folder, change), code=1).stderr
    assert nothing_restored(folder)


def test_a_database_that_is_not_in_the_backup_is_not_restored_into(folder: Path, postgres: PostgresServer) -> None:
    edgepack("backup", "--data", "data", "--without-database", "--out", "keys.tar", folder=folder)
    told = restore(folder, "--database", postgres.new_database(), source="keys.tar", code=2).stderr
    assert "holds no database" in told
    assert nothing_restored(folder)


def test_what_an_inventory_says_is_shown_as_text_and_quoted(folder: Path) -> None:
    hostile = {"region": "us-east-1; rm -rf ~", "made_at": "now\n\x1b[2Jrestored"}
    told = restore(folder, source=rewritten(folder, lambda _: None, **hostile)).stdout
    assert "--region 'us-east-1; rm -rf ~'" in told
    assert "\x1b" not in told
    assert len(told.splitlines()) == 3


def test_the_same_archive_unchanged_is_restored(folder: Path) -> None:
    restore(folder, source=rewritten(folder, lambda _: None))
    assert "keys/root.pem" in tree(folder / "new")


@pytest.mark.parametrize(("number", "leftovers"), [(signal.SIGKILL, 1), (signal.SIGTERM, 0), (signal.SIGINT, 0)])
def test_a_restore_that_is_ended_midway_leaves_nothing_that_looks_complete(
    folder: Path, number: signal.Signals, leftovers: int
) -> None:
    whole = (folder / "b.tar").read_bytes()
    command = [EDGEPACK, "restore", "-", "--data=new"]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(whole[:-2048])
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not list(folder.glob(".new.restore-*/data/keys/signing.pem")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        process.wait(60)
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert not (folder / "new").exists()
    left = list(folder.glob(".new.restore-*"))
    assert len(left) == leftovers
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in left)
    restore(folder)
    assert not list(folder.glob(".new.restore-*"))
    assert "keys/root.pem" in tree(folder / "new")


def test_two_restores_at_once_do_not_remove_each_other_s_work(folder: Path) -> None:
    whole = (folder / "b.tar").read_bytes()
    command = [EDGEPACK, "restore", "-", "--data=new"]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as slow:
        assert slow.stdin is not None
        slow.stdin.write(whole[:-2048])
        slow.stdin.flush()
        deadline = time.monotonic() + 60
        while not list(folder.glob(".new.restore-*/data/keys/signing.pem")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        restore(folder)
        assert list(folder.glob(".new.restore-*/data/keys/signing.pem"))
        slow.stdin.write(whole[-2048:])
        slow.stdin.close()
        assert slow.wait(60) == 1
        assert slow.stderr is not None
        assert b"cannot be put in place" in slow.stderr.read()
    assert "keys/root.pem" in tree(folder / "new")
