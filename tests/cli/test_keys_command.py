"""`edgepack keys export-trust` through the real command."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from cli.running import edgepack
from edgepack.keys.signing import ensure_signing_keys, load_signer


def export(folder: Path, out: str, *more: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("edgepack")), "keys", "export-trust", "--out", out, *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a data folder in it that has signing keys."""
    ensure_signing_keys(tmp_path / "edgepack-data", now=datetime.now(UTC))
    return tmp_path


def test_the_root_certificate_is_written_for_everyone_to_read(folder: Path) -> None:
    assert export(folder, "root.pem").returncode == 0
    exported = x509.load_pem_x509_certificate((folder / "root.pem").read_bytes())
    root = x509.load_der_x509_certificate(load_signer(folder / "edgepack-data").certificate_chain[-1])
    assert exported == root
    assert (folder / "root.pem").stat().st_mode & 0o777 == 0o644


def test_a_data_folder_without_keys_is_told_and_not_made(folder: Path) -> None:
    done = export(folder, "root.pem", "--data", "elsewhere")
    assert done.returncode == 1
    assert "no root certificate" in done.stderr
    assert "--data" in done.stderr
    assert {path.name for path in folder.iterdir()} == {"edgepack-data"}


@pytest.mark.parametrize("out", ["nowhere/root.pem", ".", "/dev/null"])
def test_a_target_that_is_no_file_is_a_usage_error(folder: Path, out: str) -> None:
    assert export(folder, out).returncode == 2
    assert Path("/dev/null").is_char_device()


def test_keys_are_made_once_and_before_there_is_a_server(tmp_path: Path) -> None:
    first = edgepack("keys", "create", "--data", "data", folder=tmp_path).stdout
    assert first.startswith("made root.key.pem, root.pem, sealing.key, signing.key.pem, signing.pem in ")
    made = {path.name: path.read_bytes() for path in (tmp_path / "data" / "keys").iterdir()}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "data" / "keys").iterdir())
    second = edgepack("keys", "create", "--data", "data", folder=tmp_path).stdout
    assert second.splitlines()[0].endswith("is complete")
    assert second.splitlines()[1] == first.splitlines()[1]
    assert {path.name: path.read_bytes() for path in (tmp_path / "data" / "keys").iterdir()} == made
    root = x509.load_pem_x509_certificate(made["root.pem"])
    assert second.splitlines()[1] == f"root certificate: SHA-256 {root.fingerprint(hashes.SHA256()).hex()}"


def test_an_offline_root_is_not_made_anew(tmp_path: Path) -> None:
    edgepack("keys", "create", "--data", "data", folder=tmp_path)
    (tmp_path / "data" / "keys" / "root.key.pem").unlink()
    assert "is complete" in edgepack("keys", "create", "--data", "data", folder=tmp_path).stdout
    (tmp_path / "data" / "keys" / "signing.pem").unlink()
    assert "root.key.pem" in edgepack("keys", "create", "--data", "data", folder=tmp_path, code=1).stderr


def test_a_new_signing_key_is_made_under_the_same_root(tmp_path: Path) -> None:
    edgepack("keys", "create", "--data", "data", folder=tmp_path)
    keys = tmp_path / "data" / "keys"
    root, signing = ((keys / name).read_bytes() for name in ("root.pem", "signing.pem"))
    for name in ("signing.pem", "signing.key.pem"):
        (keys / name).unlink()
    told = edgepack("keys", "create", "--data", "data", folder=tmp_path).stdout
    assert told.startswith("made signing.key.pem, signing.pem in ")
    assert (keys / "root.pem").read_bytes() == root
    assert (keys / "signing.pem").read_bytes() != signing
    load_signer(tmp_path / "data")
