"""What the local commands say: nobody's file name speaks for them, and what cannot be said is no verdict."""

import errno
import hashlib
import json
import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cli.running import EDGEPACK, edgepack, make_example, on_terminal
from edgepack.cli.terminal import TABLE_COLUMNS_MIN
from models import tar_gz
from package.making import SIGNS, holder

PACK = ("package", "--name", "model", "--version", "1.0")
FORGED = "x: verified. resnet 1.0, 3 files, signed 2026-01-01 00:00:00 UTC\n\x1b[2J\udcff"
"""A name that begins a line of its own, empties the screen, and is no text."""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {"compiled.so": b"\x7fELF", "labels.txt": b"cat\n"}
    return make_example(tmp_path_factory.mktemp("example"), files)


@pytest.fixture
def folder(example: Path, tmp_path: Path) -> Path:
    shutil.copytree(example, tmp_path, dirs_exist_ok=True)
    return tmp_path


def in_shell(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """A command line with a shell's redirections."""
    environment = {**os.environ, "PATH": f"{Path(EDGEPACK).parent}:{os.environ['PATH']}"}
    environment.pop("PYTHONUNBUFFERED", None)  # what is buffered may fail late
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )


# --- a file's name speaks for nobody


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("verify", FORGED, "--trust", "root.pem"), 0),
        (("verify", FORGED, "--trust", "key.pem"), 2),
        (("verify", "model.tar.gz", "--trust", FORGED), 2),
        (("verify", f"no{FORGED}", "--trust", "root.pem"), 2),
        (("verify", "package.tar.gz", "--trust", f"no{FORGED}"), 2),
        (("verify", "package.tar.gz", "--trust", "root.pem", FORGED), 2),
        (("verify", "package.tar.gz", f"--{FORGED}"), 2),
        (("inspect", FORGED), 0),
        (("inspect", f"{FORGED}.text"), 1),
        ((*PACK, "model.tar.gz", "--out", FORGED), 0),
        ((*PACK, "model.tar.gz", "--out", f"{FORGED}/none/p"), 2),
        ((*PACK, "model.tar.gz", "--out", f"{FORGED}.folder"), 2),
        ((*PACK, f"no{FORGED}", "--out", "p"), 2),
        ((*PACK, "model.tar.gz", "--out", "p", "--key", FORGED), 2),
        ((*PACK, "model.tar.gz", "--out", "p", "--data", f"{FORGED}.text"), 1),
        ((*PACK, "model.tar.gz", "--out", "p", "--data", f"{FORGED}.new"), 0),
        ((*PACK, "model.tar.gz", "--out", "p" * 255), 1),
        (("keys", "export-trust", "--out", FORGED), 0),
        (("keys", "export-trust", "--out", "r.pem", "--data", f"{FORGED}.folder"), 1),
        ((FORGED,), 2),
    ],
)
def test_a_path_neither_steers_the_terminal_nor_begins_a_line(
    folder: Path, arguments: tuple[str, ...], code: int
) -> None:
    shutil.copy(folder / "package.tar.gz", folder / FORGED)
    (folder / f"{FORGED}.folder").mkdir()
    (folder / f"{FORGED}.text").write_text("text")
    (folder / "key.pem").write_text("text")
    shown = edgepack(*arguments, folder=folder, code=code)
    for text in (shown.stdout, shown.stderr):
        assert "\x1b" not in text
        assert not any(line.startswith("x: verified") for line in text.splitlines())
        assert "Traceback" not in text


def test_a_file_that_cannot_be_written_is_named_safely(folder: Path) -> None:
    target = "\x1b[2J" + "p" * 245  # as long as a name may be, so that the one beside it cannot be made
    told = edgepack(*PACK, "model.tar.gz", "--out", target, folder=folder, code=1).stderr
    assert "cannot be written: File name too long" in told
    assert "\x1b" not in told


# --- what cannot be told


@pytest.mark.parametrize("where", ["> /dev/full", ">&-"])
@pytest.mark.parametrize(
    "command",
    [
        "verify package.tar.gz --trust root.pem",
        "verify package.tar.gz --trust root.pem --json",
        "verify model.tar.gz --trust root.pem",
        "inspect package.tar.gz",
        "inspect package.tar.gz --json",
        "package model.tar.gz --name m --version 1 --out p",
        "package model.tar.gz --name m --version 1 --out p --json",
        "keys export-trust --out r.pem",
    ],
)
def test_output_that_cannot_be_written_is_no_verdict(folder: Path, command: str, where: str) -> None:
    done = in_shell(folder, f"edgepack {command} {where}")
    assert done.returncode == 3, done.stderr
    told = done.stderr.splitlines()[-1]
    assert told.startswith("edgepack: ")
    assert ("No space left on device" if "full" in where else "Standard output is closed") in told
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("where", ["2> /dev/full", "2>&-"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("verify package.tar.gz --trust root.pem", 0),
        ("verify missing --trust root.pem", 2),
        ("verify model.tar.gz --trust root.pem", 1),
        ("inspect model.tar.gz", 1),
        ("package model.tar.gz --name m --version 1 --out - --data new > p", 0),
        ("package model.tar.gz --name m --version 1 --out p --data model.tar.gz", 1),
    ],
)
def test_where_standard_error_is_full_or_closed_the_exit_code_tells(
    folder: Path, command: str, code: int, where: str
) -> None:
    assert in_shell(folder, f"edgepack {command} {where}").returncode == code


def test_a_reader_that_has_gone_is_no_verdict(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [EDGEPACK, "verify", "package.tar.gz", "--trust", "root.pem"]
    with os.fdopen(writer, "wb") as stdout:
        done = subprocess.run(command, cwd=folder, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert os.strerror(errno.EPIPE) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["verify /proc/self/mem --trust root.pem", "inspect /proc/self/mem"])
def test_a_disk_that_fails_is_no_verdict(folder: Path, command: str) -> None:
    done = in_shell(folder, f"edgepack {command}")
    assert done.returncode == 3
    assert "/proc/self/mem cannot be read: Input/output error" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "verify - --trust root.pem <&-",
        "inspect - <&-",
        "package - --name m --version 1 --out p <&-",
        "package model.tar.gz --name m --version 1 --out - >&-",
    ],
)
def test_a_pipe_that_is_closed_is_a_usage_error(folder: Path, command: str) -> None:
    done = in_shell(folder, f"edgepack {command}")
    assert done.returncode == 2
    assert "is closed." in done.stderr
    assert not (folder / "p").exists()


def test_a_closed_descriptor_is_nobody_elses(folder: Path) -> None:
    """With standard error closed, the package would be opened under its number, and get its messages."""
    done = in_shell(folder, "edgepack package model.tar.gz --name m --version 1 --out p --data new <&- >&- 2>&-")
    assert done.returncode == 3
    edgepack("keys", "export-trust", "--data", "new", "--out", "new.pem", folder=folder)
    edgepack("verify", "p", "--trust", "new.pem", folder=folder)


def test_what_the_output_s_encoding_lacks_is_escaped(folder: Path) -> None:
    shutil.copy(folder / "package.tar.gz", folder / "модель")
    done = in_shell(folder, "PYTHONIOENCODING=iso-8859-1 exec edgepack verify модель --trust root.pem")
    assert done.returncode == 0, done.stderr
    assert r"\u043c" in done.stdout


def test_a_name_that_is_no_text_is_a_usage_error(folder: Path) -> None:
    for option in ("--name", "--version"):
        told = edgepack(*PACK, "model.tar.gz", "--out", "p", option, "\udcff", folder=folder, code=2).stderr
        assert "characters of UTF-8" in told


# --- who signs, and where


def test_new_keys_are_told_of_once_with_what_devices_need(folder: Path) -> None:
    pack = (*PACK, "model.tar.gz", "--data", "new keys", "--out", "p")
    told = edgepack(*pack, folder=folder).stderr
    data = folder / "new keys"
    command = f"edgepack keys export-trust --data '{data}' --out root.pem"
    assert told == f"edgepack: made new signing keys in {data}; devices need their root: `{command}`\n"
    assert edgepack(*pack, folder=folder).stderr == ""
    assert in_shell(folder, command).returncode == 0
    edgepack("verify", "p", "--trust", "root.pem", folder=folder)


def test_the_signer_is_named_when_packaging_and_when_verifying(folder: Path) -> None:
    answer = json.loads(edgepack("verify", "package.tar.gz", "--trust", "root.pem", "--json", folder=folder).stdout)
    signer = f"by CN=edgepack signing,O=edgepack (SHA-256 {answer['signer']['fingerprint']})"
    shown = edgepack("verify", "package.tar.gz", "--trust", "root.pem", folder=folder).stdout
    assert shown.splitlines()[-1].endswith(f" UTC {signer}")
    shown = edgepack(*PACK, "model.tar.gz", "--out", "p", folder=folder).stdout
    assert shown == f"wrote p: 2 files, {(folder / 'p').stat().st_size} bytes, signed {signer}\n"


def test_a_bare_key_is_named_by_its_hint(folder: Path) -> None:
    in_shell(folder, "openssl ecparam -name prime256v1 -genkey -noout -out key.pem")
    in_shell(folder, "openssl ec -in key.pem -pubout -out public.pem")
    hint = in_shell(folder, "sha256sum public.pem").stdout.split()[0]
    shown = edgepack(*PACK, "model.tar.gz", "--key", "key.pem", "--out", "p", folder=folder).stdout
    assert shown.endswith(f"signed by public key (SHA-256 {hint})\n")
    shown = edgepack("verify", "p", "--trust", "public.pem", folder=folder).stdout
    assert shown.endswith(f"by public key (SHA-256 {hint})\n")


def test_a_package_on_standard_output_is_announced_as_that(folder: Path) -> None:
    done = subprocess.run([EDGEPACK, *PACK, "model.tar.gz", "--out", "-"], cwd=folder, capture_output=True, check=True)
    assert done.stderr.startswith(b"edgepack: wrote standard output: 2 files")


# --- advice for whoever can act


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("model.tar.gz", "--out", "p", "--key", "model.tar.gz"), 2, "does not hold an unencrypted PEM private key"),
        (("model.tar.gz", "--out", "p", "--key", "."), 2, ". cannot be read: Is a directory. The file must hold"),
        (("model.tar.gz", "--out", "p", "--data", "/proc/nope"), 1, "Name a folder that can be written"),
        (("model.tar.gz", "--out", "p", "--data", "model.tar.gz"), 1, "Name a folder that can be written"),
        (("model.tar.gz", "--out", ""), 2, "'' is not a regular file"),
        (("", "--out", "p"), 2, "'': No such file"),
    ],
)
def test_what_does_not_serve_is_told_with_advice(
    folder: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    assert told in edgepack(*PACK, *arguments, folder=folder, code=code).stderr
    assert not (folder / "p").exists()


def test_certificates_that_have_ended_are_a_signer_s_concern(folder: Path) -> None:
    old = holder("old", *SIGNS)  # its certificate was valid for two days
    pem = old.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem + old.certificate.public_bytes(Encoding.PEM))
    told = edgepack(*PACK, "model.tar.gz", "--out", "p", "--key", "key.pem", folder=folder, code=2).stderr
    assert "was not valid" in told
    assert "that is valid now" in told
    assert "Verify against" not in told


# --- standard input from where it stands


def test_standard_input_is_read_from_where_it_stands(folder: Path) -> None:
    for name in ("model.tar.gz", "package.tar.gz"):
        (folder / f"off-{name}").write_bytes(b"12345" + (folder / name).read_bytes())
    skip = "dd bs=1 count=5 of=/dev/null 2>/dev/null"
    done = in_shell(folder, f"({skip}; edgepack package - --name m --version 1 --out p) < off-model.tar.gz")
    assert done.returncode == 0, done.stderr
    edgepack("verify", "p", "--trust", "root.pem", folder=folder)
    shown = in_shell(folder, f"({skip}; edgepack inspect -) < off-package.tar.gz").stdout
    assert f"size: {(folder / 'package.tar.gz').stat().st_size} bytes" in shown.splitlines()
    assert "differ" not in shown


# --- terminals


def on_terminal_of(columns: int, folder: Path, *arguments: str) -> str:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    subprocess.run([EDGEPACK, *arguments], cwd=folder, stdout=terminal, env=environment, check=True)
    os.close(terminal)
    shown = os.read(controller, 65536).decode()
    os.close(controller)
    return shown


@pytest.mark.parametrize("columns", [80, TABLE_COLUMNS_MIN])
@pytest.mark.parametrize(
    "command", [("verify", "package.tar.gz", "--trust", "root.pem"), ("inspect", "package.tar.gz")]
)
def test_a_digest_stays_in_one_piece(folder: Path, command: tuple[str, ...], columns: int) -> None:
    (folder / "model.tar.gz").write_bytes(tar_gz({"long/" * 40 + "compiled.so": b"\x7fELF"}))
    edgepack(*PACK, "model.tar.gz", "--out", "package.tar.gz", folder=folder)
    shown = on_terminal_of(columns, folder, *command)
    assert hashlib.sha256(b"\x7fELF").hexdigest() in shown
    assert ("│" in shown) is (columns == TABLE_COLUMNS_MIN)


def test_a_file_s_name_does_not_steer_the_terminal_that_shows_a_verdict(folder: Path) -> None:
    """Not even by characters that a package may have in its names, and that each terminal shows as it likes."""
    name = "weights\ue000.so"
    (folder / "model.tar.gz").write_bytes(tar_gz({name: b"x"}))
    edgepack(*PACK, "model.tar.gz", "--out", "package.tar.gz", folder=folder)
    shown = on_terminal(folder, "verify", "package.tar.gz", "--trust", "root.pem")
    assert "│" in shown
    assert r"weights\ue000.so" in shown
    assert "\ue000" not in shown
