"""`edgepack package` and `edgepack verify` as a user runs them: real processes, real files, other readers."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.running import EDGEPACK, Ran, edgepack, make_example, on_terminal
from models import tar_gz

FILES = {
    "compiled.so": b"\x7fELF" + os.urandom(70_000),
    "compiled.params": bytes(200_000),
    "labels/names.txt": b"cat\n",
}


def pack(folder: Path, *more: str, source: str = "model.tar.gz", out: str = "package.tar.gz", code: int = 0) -> Ran:
    return edgepack(
        "package", source, "--name", "model", "--version", "1.0", "--out", out, *more, folder=folder, code=code
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model in it, as a user would stand in."""
    (tmp_path / "model.tar.gz").write_bytes(tar_gz(FILES))
    return tmp_path


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its package and the certificate to trust."""
    return make_example(tmp_path_factory.mktemp("example"), FILES)


@pytest.fixture
def packaged(example: Path, tmp_path: Path) -> Path:
    """A copy of the example."""
    shutil.copytree(example, tmp_path, dirs_exist_ok=True)
    return tmp_path


def verify(folder: Path, *more: str, code: int = 0, package: str = "package.tar.gz", trust: str = "root.pem") -> Ran:
    return edgepack("verify", package, "--trust", trust, *more, folder=folder, code=code)


def listing(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- what is packaged verifies


def test_a_package_verifies(packaged: Path) -> None:
    answer = verify(packaged)
    assert [line.split()[0] for line in answer.stdout.splitlines()[:3]] == ["ok"] * 3
    assert all(name in answer.stdout for name in FILES)
    assert "verified. model 1.0, 3 files" in answer.stdout


def test_the_verdict_as_json(packaged: Path) -> None:
    verdict = json.loads(verify(packaged, "--json").stdout)
    assert verdict["ok"] is True
    assert (verdict["model_name"], verdict["model_version"]) == ("model", "1.0")
    assert {file["path"]: (file["size"], file["ok"], file["problem"]) for file in verdict["files"]} == {
        name: (len(content), True, None) for name, content in FILES.items()
    }
    assert verdict["problems"] == []
    assert verdict["signer"]["name"] == "CN=edgepack signing,O=edgepack"
    assert verdict["signed_at"].endswith("+00:00")


def test_what_was_packaged_as_json(folder: Path) -> None:
    answer = json.loads(pack(folder, "--json").stdout)
    assert answer["package"] == "package.tar.gz"
    assert answer["size"] == (folder / "package.tar.gz").stat().st_size
    assert [file["path"] for file in answer["manifest"]["files"]] == list(FILES)


def test_pipes_on_every_side(folder: Path) -> None:
    model = (folder / "model.tar.gz").read_bytes()
    command = [EDGEPACK, "package", "-", "--name", "model", "--version", "1.0", "--out", "-"]
    package = subprocess.run(command, cwd=folder, input=model, capture_output=True, check=True).stdout
    edgepack("keys", "export-trust", "--out", "root.pem", folder=folder)
    edgepack("verify", "-", "--trust", "root.pem", folder=folder, stdin=package)
    edgepack("verify", "-", "--trust", "root.pem", folder=folder, stdin=package[:-1], code=1)
    assert listing(folder) == {"model.tar.gz", "edgepack-data", "root.pem"}


def test_a_verdict_on_a_pipe(example: Path) -> None:
    package = (example / "package.tar.gz").read_bytes()
    arguments = ("verify", "-", "--trust", "root.pem")
    assert "-: verified. model 1.0, 3 files" in edgepack(*arguments, folder=example, stdin=package).stdout
    verdict = json.loads(edgepack(*arguments, "--json", folder=example, stdin=package).stdout)
    assert (verdict["package"], verdict["ok"], len(verdict["files"])) == ("-", True, 3)
    cut = edgepack(*arguments, "--json", folder=example, stdin=package[:-2000], code=1)
    assert json.loads(cut.stdout)["ok"] is False
    assert json.loads(edgepack(*arguments, "--json", folder=example, stdin=b"", code=1).stdout)["problems"]


def test_several_gzip_members_are_repacked(folder: Path) -> None:
    tar = gzip.decompress(tar_gz(FILES))
    (folder / "model.tar.gz").write_bytes(gzip.compress(tar[:1000]) + gzip.compress(tar[1000:]))
    assert "recompressing" in pack(folder).stderr
    edgepack("keys", "export-trust", "--out", "root.pem", folder=folder)
    verify(folder)


# --- keys


def key_file(folder: Path) -> None:
    command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem"]
    subprocess.run(command, cwd=folder, check=True)
    subprocess.run(
        ["openssl", "ec", "-in", "key.pem", "-pubout", "-out", "public.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def test_a_bare_key_verifies_by_its_public_key_alone(folder: Path) -> None:
    key_file(folder)
    pack(folder, "--key", "key.pem")
    assert "edgepack-data" not in listing(folder)
    verify(folder, trust="public.pem")
    pack(folder, out="other.tar.gz")
    verify(folder, package="other.tar.gz", trust="public.pem", code=1)


def test_a_key_with_its_certificates_verifies_by_their_root(packaged: Path) -> None:
    keys = packaged / "edgepack-data" / "keys"
    (packaged / "chain.pem").write_bytes(
        b"".join((keys / name).read_bytes() for name in ("signing.key.pem", "signing.pem", "root.pem"))
    )
    pack(packaged, "--key", "chain.pem", out="other.tar.gz")
    verify(packaged, package="other.tar.gz")


def test_certificates_that_are_not_for_signing_packages_are_refused(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*command, "-subj", "/CN=web", "-keyout", "key.pem", "-out", "web.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "both.pem").write_bytes((folder / "key.pem").read_bytes() + (folder / "web.pem").read_bytes())
    told = pack(folder, "--key", "both.pem", code=2).stderr
    assert "The signing certificate 'CN=web' lacks: key usage, extended key usage. Sign with a certificate" in told
    assert "Verify against" not in told
    assert "package.tar.gz" not in listing(folder)


def test_a_key_file_is_read_once_so_that_it_may_be_a_pipe(packaged: Path) -> None:
    keys = packaged / "edgepack-data" / "keys"
    os.mkfifo(packaged / "chain.pem")
    names = " ".join(str(keys / name) for name in ("signing.key.pem", "signing.pem", "root.pem"))
    with subprocess.Popen(["sh", "-c", f"cat {names} > chain.pem"], cwd=packaged):
        pack(packaged, "--key", "chain.pem", out="other.tar.gz")
    verify(packaged, package="other.tar.gz")


def test_another_edgepacks_root_does_not_verify(packaged: Path) -> None:
    pack(packaged, "--data", "elsewhere", out="other.tar.gz")
    edgepack("keys", "export-trust", "--data", "elsewhere", "--out", "other.pem", folder=packaged)
    verify(packaged, package="other.tar.gz", trust="other.pem")
    answer = verify(packaged, trust="other.pem", code=1)
    assert "NOT VERIFIED" in answer.stdout


# --- what was altered does not verify


def altered(package: bytes, position: int) -> bytes:
    return package[:position] + bytes([package[position] ^ 1]) + package[position + 1 :]


@pytest.mark.parametrize(
    "alter",
    [
        lambda package: altered(package, 20),
        lambda package: altered(package, 3000),
        lambda package: altered(package, len(package) // 2),
        lambda package: altered(package, len(package) - 6),
        lambda package: altered(package, len(package) - 1),
        lambda package: package[:-1],
        lambda package: package[:5000],
        lambda package: package + b"\0",
        lambda package: package + package,
        lambda _: b"",
        lambda _: b"not a package",
    ],
    ids=["header", "manifest", "content", "crc", "size", "cut", "cut early", "longer", "twice", "empty", "other"],
)
def test_an_altered_package_does_not_verify(packaged: Path, alter: Callable[[bytes], bytes]) -> None:
    package = packaged / "package.tar.gz"
    package.write_bytes(alter(package.read_bytes()))
    assert "NOT VERIFIED" in verify(packaged, code=1).stdout
    verdict: dict[str, Any] = json.loads(verify(packaged, "--json", code=1).stdout)
    assert verdict["ok"] is False
    assert verdict["problems"] or any(file["problem"] for file in verdict["files"])


def test_a_swapped_file_is_named(packaged: Path) -> None:
    # The manifest and its signature stay; one file's content is another one, in a well-formed archive.
    with tarfile.open(packaged / "package.tar.gz") as archive:
        members = {member.name: archive.extractfile(member) for member in archive}
        contents = {name: file.read() for name, file in members.items() if file}
    (packaged / "package.tar.gz").write_bytes(tar_gz({**contents, "labels/names.txt": b"dog\n"}))
    verify(packaged, code=1)


def test_an_unpackaged_model_does_not_verify(packaged: Path) -> None:
    verify(packaged, package="model.tar.gz", code=1)


# --- on a terminal


def test_a_terminal_shows_progress_and_a_table(packaged: Path) -> None:
    shown = on_terminal(packaged, "package", "model.tar.gz", "--name", "m", "--version", "1", "--out", "package.tar.gz")
    assert "Reading" in shown
    assert "Writing" in shown
    shown = on_terminal(packaged, "verify", "package.tar.gz", "--trust", "root.pem")
    assert "SHA-256" in shown
    assert all(name in shown for name in FILES)
    assert "verified. m 1, 3 files" in shown


def test_verifying_shows_its_progress_on_a_terminal_alone(packaged: Path) -> None:
    assert "Verifying" in on_terminal(packaged, "verify", "package.tar.gz", "--trust", "root.pem", "--json")
    assert verify(packaged).stderr == ""


def test_a_terminal_shows_what_is_wrong_and_where(packaged: Path) -> None:
    cut = (packaged / "package.tar.gz").read_bytes()[:-2000]
    (packaged / "package.tar.gz").write_bytes(cut)
    shown = on_terminal(packaged, "verify", "package.tar.gz", "--trust", "root.pem", code=1)
    assert "WRONG (it is missing, or the package is damaged before it)" in shown
    assert "problem: The archive ends after" in shown
    assert "NOT VERIFIED. Do not use it." in shown


# --- other readers


def test_tar_and_python_read_a_package(packaged: Path) -> None:
    (packaged / "by-tar").mkdir()
    subprocess.run(["tar", "xzf", "package.tar.gz", "-C", "by-tar"], cwd=packaged, check=True)
    subprocess.run(["gzip", "-t", "package.tar.gz"], cwd=packaged, check=True)
    with tarfile.open(packaged / "package.tar.gz", "r|gz") as archive:
        names = []
        for member in archive:
            names.append(member.name)
            file = archive.extractfile(member)
            assert file is not None
            assert file.read() == (packaged / "by-tar" / member.name).read_bytes()
    assert names == ["sagemaker_edge_manifest", *FILES]
    assert {name: (packaged / "by-tar" / name).read_bytes() for name in FILES} == FILES


@pytest.mark.parametrize("key", [None, "key.pem"])
def test_model_signing_verifies_what_edgepack_signed(packaged: Path, key: str | None) -> None:
    key_file(packaged)
    pack(packaged, *(("--key", key) if key else ()))
    unpacked = packaged / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "xzf", "package.tar.gz", "-C", "unpacked"], cwd=packaged, check=True)
    manifest = unpacked / "sagemaker_edge_manifest"
    (packaged / "model.sig").write_text(json.dumps(json.loads(manifest.read_text())["signature"]))
    method = ["key", "--public_key", "public.pem"] if key else ["certificate", "--certificate_chain", "root.pem"]
    command = [str(Path(sys.executable).with_name("model_signing")), "verify", *method, "--signature", "model.sig"]
    ignore = ["--ignore-paths", "unpacked/sagemaker_edge_manifest", "unpacked"]
    subprocess.run([*command, *ignore], cwd=packaged, check=True, capture_output=True)
    (unpacked / "labels" / "names.txt").write_bytes(b"dog\n")
    assert subprocess.run([*command, *ignore], cwd=packaged, check=False, capture_output=True).returncode != 0


# --- what goes wrong


def test_a_bad_model_is_refused_with_advice_and_leaves_nothing(folder: Path) -> None:
    (folder / "model.tar.gz").write_bytes(tar_gz({"../up": b"x"}))
    answer = pack(folder, code=1)
    assert "'../up'" in answer.stderr
    assert "Pack with relative names" in answer.stderr
    assert listing(folder) == {"model.tar.gz", "edgepack-data"}


def test_a_failure_keeps_the_package_that_was_there(packaged: Path) -> None:
    before = (packaged / "package.tar.gz").read_bytes()
    (packaged / "model.tar.gz").write_bytes((packaged / "model.tar.gz").read_bytes()[:-20])
    pack(packaged, code=1)
    assert (packaged / "package.tar.gz").read_bytes() == before


def test_a_new_package_replaces_the_old_one(packaged: Path) -> None:
    (packaged / "model.tar.gz").write_bytes(tar_gz({"other": b"x"}))
    pack(packaged)
    assert "1 file," in verify(packaged).stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.tar.gz", "--out", "p"], "missing.tar.gz: No such file"),
        ([".", "--out", "p"], "Is a directory"),
        (["model.tar.gz", "--out", "nowhere/p"], "is not a folder"),
        (["model.tar.gz", "--out", "/dev/null"], "not a regular file"),
        (["model.tar.gz", "--out", "model.tar.gz"], "is the model artifact itself"),
        (["model.tar.gz", "--out", "p", "--key", "missing.pem"], "missing.pem cannot be read: No such file"),
        (["model.tar.gz", "--out", "-", "--json"], "both take standard output"),
        (["model.tar.gz", "--out", "p", "--name", "a\nb"], "model_name must have"),
        (["model.tar.gz"], "Missing option '--out'"),
    ],
)
def test_usage_errors_of_package(folder: Path, arguments: list[str], told: str) -> None:
    answer = edgepack("package", "--name", "model", "--version", "1.0", *arguments, folder=folder, code=2)
    assert told in answer.stderr
    assert listing(folder) == {"model.tar.gz"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.tar.gz", "--trust", "root.pem"], "missing.tar.gz: No such file"),
        (["package.tar.gz", "--trust", "missing.pem"], "missing.pem: No such file"),
        (["package.tar.gz", "--trust", "model.tar.gz"], "neither a PEM certificate nor a PEM public key"),
        (["package.tar.gz"], "Missing option '--trust'"),
    ],
)
def test_usage_errors_of_verify(packaged: Path, arguments: list[str], told: str) -> None:
    answer = edgepack("verify", *arguments, folder=packaged, code=2)
    assert told in answer.stderr
    assert answer.stdout == ""


def pem(kind: str, body: str = "AAAA") -> bytes:
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n".encode()


NEITHER = "There is neither a PEM certificate nor a PEM public key to trust."
DAMAGED = "What should be PEM certificates or public keys is damaged."


@pytest.mark.parametrize(
    ("trust", "told"),
    [
        (b"", NEITHER),
        (bytes(range(256)), NEITHER),
        (pem("PRIVATE KEY"), NEITHER),
        (pem("CERTIFICATE"), DAMAGED),
        (pem("CERTIFICATE", "not base64"), DAMAGED),
        (pem("CERTIFICATE")[:30], DAMAGED),
        (pem("PUBLIC KEY"), DAMAGED),
        (pem("PUBLIC KEY", "not base64"), DAMAGED),
        (pem("PUBLIC KEY")[:30], DAMAGED),
    ],
    ids=[
        "empty",
        "binary",
        "private",
        "no certificate",
        "text",
        "cut certificate",
        "no key",
        "text for a key",
        "cut key",
    ],
)
def test_what_cannot_be_trusted_is_told_in_edgepacks_own_words(packaged: Path, trust: bytes, told: str) -> None:
    (packaged / "trust.pem").write_bytes(trust)
    advice = "Give a PEM file with edgepack's root certificate (`edgepack keys export-trust`) or with a public key."
    refusal = verify(packaged, trust="trust.pem", code=2).stderr.splitlines()
    assert refusal[-1] == f"Error: Invalid value for --trust: trust.pem: {told} {advice}"


def test_a_trusted_key_of_another_kind_is_told(packaged: Path) -> None:
    command = ["openssl", "genpkey", "-algorithm", "ed25519", "-outform", "PEM", "-out", "key.pem"]
    subprocess.run(command, cwd=packaged, check=True)
    subprocess.run(["openssl", "pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"], cwd=packaged, check=True)
    assert "not on the curve P-256" in verify(packaged, trust="public.pem", code=2).stderr


def test_a_full_disk_is_told(folder: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [EDGEPACK, "package", "model.tar.gz", "--name", "model", "--version", "1.0", "--out", "-"]
        done = subprocess.run(command, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be written: No space left on device" in done.stderr


def test_starting_imports_no_room_that_is_not_needed() -> None:
    heavy = ("rich", "boto3", "sqlalchemy", "cryptography", "uvicorn", "dbos")
    program = f"import sys, edgepack.cli.main; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
