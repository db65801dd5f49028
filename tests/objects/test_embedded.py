"""The embedded store's process: closed to others, durable, and never alone."""

import http.client
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # has no stubs, and three calls do not need any
import pytest

from edgepack.errors import StateError
from edgepack.objects import embedded
from edgepack.objects.address import S3Address
from edgepack.objects.embedded import EmbeddedStore
from edgepack.objects.ports import draw_ports, is_free
from edgepack.objects.weed_settings import Ports
from stores import RunningStore, new_credential, running_store

KEEPER = """
import sys
from pathlib import Path
from edgepack.objects.embedded import EmbeddedStore
from edgepack.objects.weed_settings import StoreCredential

store = EmbeddedStore(Path(sys.argv[1]), port=0, credentials=[StoreCredential(sys.argv[2], sys.argv[3])])
store.start()
print(store.process_id, flush=True)
sys.stdin.read()
"""


def running_process(store: EmbeddedStore) -> int:
    assert store.process_id is not None
    return store.process_id


def listening(process_id: int) -> list[tuple[str, int]]:
    found = psutil.Process(process_id).net_connections("tcp")
    return [(each.laddr.ip, each.laddr.port) for each in found if each.status == psutil.CONN_LISTEN]


def test_only_the_owner_can_read_its_files(weed: RunningStore) -> None:
    folder = weed.embedded._folder.path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("security.toml", "weed.key", "weed.pem", "authority.pem", "ports.json", "lock"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name


def test_the_secret_key_is_nowhere_on_the_disk(weed: RunningStore) -> None:
    files = [path for path in weed.embedded._folder.path.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if weed.credential.secret_key.encode() in path.read_bytes()] == []


def test_no_secret_on_the_command_line_or_in_the_environment(weed: RunningStore) -> None:
    process = psutil.Process(running_process(weed.embedded))
    assert weed.credential.secret_key not in " ".join(process.cmdline())
    environment = process.environ()
    assert set(environment) - {"LC_CTYPE"} == {"HOME", "PATH", "GOMEMLIMIT"}
    assert "-master.telemetry=false" in process.cmdline()


def test_every_port_is_on_loopback_and_gives_nothing_to_strangers(weed: RunningStore, bucket: str) -> None:
    weed.put(S3Address(bucket, "private"), b"a secret model")
    ports = listening(running_process(weed.embedded))
    assert len(ports) >= 5
    for host, port in ports:
        assert host == "127.0.0.1"
        for path in (f"{bucket}/private", f"buckets/{bucket}/private", f"buckets/{bucket}/?pretty=y"):
            answer = strangers_get(f"http://{host}:{port}/{path}")
            assert b"a secret model" not in answer, (port, path)
            assert b"private" not in answer or b"<Resource>" in answer, (port, path)
    assert weed.content(S3Address(bucket, "private")) == b"a secret model"


def strangers_get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            content: bytes = answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.read()
    except OSError:
        return b""
    except http.client.HTTPException:  # what speaks gRPC does not answer in HTTP/1.1
        return b""
    return content


def test_objects_and_ports_are_there_after_a_restart_and_a_crash(tmp_path: Path) -> None:
    credential = new_credential()
    store = EmbeddedStore(tmp_path / "store", port=0, credentials=[credential])
    store.start()
    try:
        running, first_port = RunningStore(store, credential), store.port
        address = S3Address(running.new_bucket(), "kept")
        running.put(address, b"before the crash")
        os.kill(running_process(store), signal.SIGKILL)
        wait_until(lambda: not store.alive)
        store.start()
        assert store.port == first_port
        assert running.content(address) == b"before the crash"
    finally:
        store.stop()
    assert not store.alive
    assert store.process_id is None
    store.stop()


def test_settings_that_it_cannot_take_yet_are_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was seen to fail after a crash: its files were not known to it yet."""
    given, configure = [], EmbeddedStore._configure

    def failing_first(self: EmbeddedStore, program: str, ports: Ports) -> "subprocess.Popen[bytes]":
        given.append(program)
        if len(given) > 1:
            return configure(self, program, ports)
        return subprocess.Popen(["echo", "error: read /etc/seaweedfs/filer.conf"], stdout=subprocess.PIPE)

    monkeypatch.setattr(EmbeddedStore, "_configure", failing_first)
    store = EmbeddedStore(tmp_path / "store", port=0, credentials=[new_credential()])
    store.start()
    store.stop()
    assert len(given) == 2


def wait_until(ready: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_process_that_started_it(tmp_path: Path, end: signal.Signals) -> None:
    credential = new_credential()
    command = [sys.executable, "-c", KEEPER, str(tmp_path / "store"), credential.access_key, credential.secret_key]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        weed = psutil.Process(int(keeper.stdout.readline()))
        assert weed.is_running()
        keeper.send_signal(end)
        keeper.wait(30)
        weed.wait(30)
    with running_store(tmp_path / "store") as again:
        assert again.embedded.alive


def test_two_cannot_have_one_folder(weed: RunningStore, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LOCK_SECONDS", 0.2)
    folder = weed.embedded._folder.path
    before = contents(folder)
    second = EmbeddedStore(folder, port=0, credentials=[new_credential()])
    with pytest.raises(StateError, match="in use by another process"):
        second.start()
    assert contents(folder) == before
    assert weed.put(S3Address(bucket, "x"), b"x").size == 1


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_taken_port_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        store = EmbeddedStore(tmp_path / "store", port=port, credentials=[new_credential()])
        with pytest.raises(StateError, match=f"port {port} is in use"):
            store.start()
    assert not store.alive


def test_a_wanted_port_is_taken(tmp_path: Path) -> None:
    (port,) = draw_ports(1)
    store = EmbeddedStore(tmp_path / "store", port=port, credentials=[new_credential()])
    store.start()
    try:
        assert (store.port, store.endpoint) == (port, f"http://127.0.0.1:{port}")
        assert not is_free(port)
    finally:
        store.stop()
    assert is_free(port)


def test_a_program_that_ends_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "weed"
    broken.write_text("#!/bin/sh\necho the disk is upside down\nexit 3\n")
    broken.chmod(0o700)
    store = EmbeddedStore(tmp_path / "store", port=0, credentials=[new_credential()], binary=broken)
    with pytest.raises(StateError, match="the disk is upside down"):
        store.start()
    assert not store.alive


def test_nothing_to_ask_before_the_start(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store", port=0, credentials=[new_credential()])
    assert not store.alive
    with pytest.raises(StateError, match="has not been started"):
        _ = store.endpoint
