"""`edgepack inspect` as a user runs it: on honest packages, on ones that lie and steer, and on what is none."""

import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from cli.running import EDGEPACK, Ran, edgepack, on_terminal
from edgepack.cli.terminal import TABLE_FILES_MAX
from edgepack.keys.signing import FileSigner
from edgepack.package.canonical import canonical_json
from edgepack.package.entry import manifest_entry, prefix_pieces
from edgepack.package.manifest import Manifest
from models import tar_gz
from package.conftest import NOW
from package.making import SIGNS, Forgery, Holder, authority, forged, framed, holder, package_of

FILES = {"compiled.so": b"\x7fELF" + bytes(70_000), "labels/names.txt": b"cat\n"}
ARCHIVE = tar_gz(FILES)
STEERING = "\x1b[31mowned\x07\x1b[2J\x9b2J\u202e"
"""Red text, the bell, an empty screen in both spellings, writing from the right."""

STEERING_NAME = "\x9b31mowned\x9b2J\u202e"
"""What of it may stand in metadata."""

CONTROLS = {character for character in STEERING if not character.isprintable()}


@pytest.fixture(scope="module")
def root() -> Holder:
    return holder("the root", *authority())


@pytest.fixture(scope="module")
def leaf(root: Holder) -> Holder:
    return root.issue("the signer", *SIGNS)


@pytest.fixture(scope="module")
def package(root: Holder, leaf: Holder) -> bytes:
    """A package with a certificate chain."""
    return package_of(ARCHIVE, leaf.signer(root))


def inspect(folder: Path, package: bytes, *more: str, code: int = 0) -> Ran:
    (folder / "package.tar.gz").write_bytes(package)
    return edgepack("inspect", "package.tar.gz", *more, folder=folder, code=code)


def inspected(folder: Path, package: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(inspect(folder, package, "--json").stdout)
    return answer


# --- what is shown


def test_lines_for_programs(tmp_path: Path, package: bytes, root: Holder, leaf: Holder) -> None:
    lines = inspect(tmp_path, package).stdout.splitlines()
    assert lines[:7] == [
        "model name: resnet",
        "model version: 1.0",
        "target platform: LINUX ARM64",
        "compilation job: resnet-arm64",
        "signed at: 2026-03-01 12:00:30 UTC",
        f"size by its manifest: {len(package)} bytes",
        f"size: {len(package)} bytes",
    ]
    assert "certificate 1 subject: CN=the signer" in lines
    assert "certificate 1 issuer: CN=the root" in lines
    assert "certificate 1 valid: 2026-02-28 12:00:30 UTC to 2026-03-02 12:00:30 UTC" in lines
    assert f"certificate 1 serial: {leaf.certificate.serial_number:x}" in lines
    assert f"certificate 2 serial: {root.certificate.serial_number:x}" in lines
    assert lines[-4:-1] == [
        "files: 2",
        *(f"file: {sha256(content).hexdigest()}  {len(content)}  {path}" for path, content in FILES.items()),
    ]
    assert "NOTHING IS VERIFIED" in lines[-1]


def test_the_whole_manifest_as_json(tmp_path: Path, package: bytes) -> None:
    answer = inspected(tmp_path, package)
    with tarfile.open(tmp_path / "package.tar.gz") as archive:
        file = archive.extractfile("sagemaker_edge_manifest")
        assert file is not None
        assert answer["manifest"] == json.load(file)
    assert answer["verified"] is False
    assert (answer["size"], answer["claimed_size"]) == (len(package), len(package))
    assert answer["signed_at"] == "2026-03-01T12:00:30+00:00"
    assert answer["key_hint"] is None


def test_certificates_are_those_that_openssl_sees(tmp_path: Path, package: bytes) -> None:
    answer = inspected(tmp_path, package)
    assert [each["subject"] for each in answer["certificates"]] == ["CN=the signer", "CN=the root"]
    for pem, certificate in zip(answer["manifest"]["certificate_chain"], answer["certificates"], strict=True):
        command = ["openssl", "x509", "-noout", "-serial", "-fingerprint", "-sha256", "-dates", "-dateopt", "iso_8601"]
        seen = subprocess.run(command, input=pem, capture_output=True, text=True, check=True).stdout.splitlines()
        serial, fingerprint, start, end = (line.partition("=")[2] for line in seen)
        assert int(certificate["serial"], 16) == int(serial, 16)
        assert certificate["sha256"] == fingerprint.replace(":", "").lower()
        assert [certificate[name] for name in ("not_before", "not_after")] == [
            time.replace(" ", "T").replace("Z", "+00:00") for time in (start, end)
        ]


def test_a_bare_key_by_its_hint(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    hint = sha256(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    package = package_of(ARCHIVE, FileSigner(key))
    lines = inspect(tmp_path, package).stdout.splitlines()
    assert f"signing key SHA-256: {hint}" in lines
    assert not any(line.startswith("certificate") for line in lines)
    answer = inspected(tmp_path, package)
    assert (answer["key_hint"], answer["certificates"]) == (hint, [])


def test_a_table_on_a_terminal(tmp_path: Path, package: bytes) -> None:
    (tmp_path / "package.tar.gz").write_bytes(package)
    shown = on_terminal(tmp_path, "inspect", "package.tar.gz")
    assert "│ model name" in shown
    assert "CN=the signer" in shown
    assert all(f"│ {path} " in shown and sha256(content).hexdigest() in shown for path, content in FILES.items())
    assert "not verified" in shown
    assert "NOTHING IS VERIFIED" in shown


def test_very_many_files_are_lines_on_a_terminal_too(tmp_path: Path, root: Holder, leaf: Holder) -> None:
    for count, is_table in ((TABLE_FILES_MAX, True), (TABLE_FILES_MAX + 1, False)):
        archive = tar_gz({f"f{number}": b"" for number in range(count)})
        (tmp_path / "package.tar.gz").write_bytes(package_of(archive, leaf.signer(root)))
        assert ("│" in on_terminal(tmp_path, "inspect", "package.tar.gz")) is is_table


# --- how much is read


def test_a_pipe_is_read_no_further_than_the_head(tmp_path: Path, root: Holder, leaf: Holder) -> None:
    frame, _ = framed(ARCHIVE, leaf.signer(root))
    command = [EDGEPACK, "inspect", "-", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(frame.prefix)
        process.stdin.flush()
        assert process.wait(60) == 0
        answer = json.load(process.stdout)
    assert (answer["package"], answer["size"]) == ("-", None)
    assert answer["manifest"]["metadata"]["model_name"] == "resnet"


def test_a_package_cut_behind_its_head_is_shown_with_both_sizes(tmp_path: Path, package: bytes) -> None:
    lines = inspect(tmp_path, package[:-20]).stdout.splitlines()
    assert f"size by its manifest: {len(package)} bytes" in lines
    assert f"size: {len(package) - 20} bytes" in lines
    assert "the sizes differ: it ends 20 bytes too early, by its manifest" in lines


def test_a_package_with_something_behind_it_is_told(tmp_path: Path, package: bytes) -> None:
    assert "the sizes differ: 7 bytes follow its end, by its manifest" in inspect(tmp_path, package + bytes(7)).stdout
    assert "differ" not in inspect(tmp_path, package).stdout


# --- what is no package


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda _: b"", "ends after 0 bytes"),
        (lambda _: b"not a package", "is not a gzip file"),
        (lambda _: os.urandom(5000), "does not start with a manifest"),
        (lambda _: tar_gz({"weights": os.urandom(5000)}), "does not start with a manifest"),
        (lambda package: package[:526], "ends after 526 bytes"),
        (lambda package: package[:2000], "ends after 2000 bytes"),
        (lambda package: package[:3] + b"\x08" + package[4:], "not in canonical form"),
        (lambda package: package.replace(b"model_version", b"model_wersion"), "Invalid enum value 'model_wersion'"),
    ],
    ids=["empty", "text", "noise", "a model", "cut in a header", "cut in the manifest", "damaged", "no version"],
)
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["lines", "json"])
def test_what_is_no_package_is_told(
    tmp_path: Path, package: bytes, make: Callable[[bytes], bytes], told: str, more: list[str]
) -> None:
    answer = inspect(tmp_path, make(package), *more, code=1)
    assert answer.stdout == ""
    assert "is no package that edgepack reads" in answer.stderr
    assert told in answer.stderr
    assert "`edgepack package`" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_standard_input_that_is_no_package(tmp_path: Path) -> None:
    answer = edgepack("inspect", "-", folder=tmp_path, stdin=b"x" * 1000, code=1)
    assert "standard input is no package" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.tar.gz"], "missing.tar.gz: No such file"),
        (["."], "Is a directory"),
        ([], "Missing argument"),
        (["-", "--trust", "root.pem"], "No such option"),
    ],
)
def test_usage_errors(tmp_path: Path, arguments: list[str], told: str) -> None:
    assert told in edgepack("inspect", *arguments, folder=tmp_path, code=2).stderr


# --- packages that steer


def with_metadata(**changes: str) -> Callable[[Manifest], Manifest]:
    return lambda manifest: replace(manifest, metadata={**manifest.metadata, **changes})


def with_file(**changes: str) -> Callable[[Manifest], Manifest]:
    return lambda manifest: replace(manifest, files=(replace(manifest.files[0], **changes),))


def with_hint(manifest: Manifest) -> Manifest:
    bundle = msgspec.json.decode(manifest.signature)
    bundle["verificationMaterial"]["publicKey"]["hint"] = STEERING
    return replace(manifest, signature=msgspec.Raw(canonical_json(bundle)))


def with_subject(_: Manifest) -> Manifest:
    """The manifest of another signer, whose certificate has the subject."""
    frame = framed(ARCHIVE, holder(STEERING, *SIGNS).signer())[0]
    return msgspec.json.decode(frame.manifest_json, type=Manifest)


@pytest.mark.parametrize(
    "change",
    [
        with_metadata(model_name=STEERING_NAME),
        with_metadata(model_version=STEERING_NAME),
        with_metadata(target_device=STEERING_NAME),
        with_metadata(compilation_job_name=STEERING_NAME),
        with_file(path=STEERING),
        with_file(sha256=STEERING),
        with_hint,
        with_subject,
    ],
    ids=["name", "version", "device", "job", "path", "digest", "hint", "subject"],
)
def test_nothing_in_a_package_steers_the_terminal(tmp_path: Path, change: Callable[[Manifest], Manifest]) -> None:
    signer = FileSigner(ec.generate_private_key(ec.SECP256R1()))
    package = forged(ARCHIVE, signer, Forgery(manifest=change))
    for shown in (inspect(tmp_path, package).stdout, inspect(tmp_path, package, "--json").stdout):
        assert "owned" in shown
        assert not CONTROLS & set(shown)
    on_screen = on_terminal(tmp_path, "inspect", "package.tar.gz")
    assert r"\x1b[31mowned\x07" in on_screen or r"\x9b31mowned\x9b2J\u202e" in on_screen
    assert not any(part in on_screen for part in ("\x1b[31m", "\x07", "\x1b[2J", "\x9b", "\u202e"))


def test_markup_in_a_package_is_shown_as_it_stands(tmp_path: Path) -> None:
    signer = FileSigner(ec.generate_private_key(ec.SECP256R1()))
    change = Forgery(manifest=with_file(path="[bold red]x[/]"))
    inspect(tmp_path, forged(ARCHIVE, signer, change))
    assert "[bold red]x[/]" in on_terminal(tmp_path, "inspect", "package.tar.gz")


def test_a_refusal_does_not_steer_the_terminal(tmp_path: Path, root: Holder, leaf: Holder) -> None:
    """The message about an unknown member names it."""
    frame, _ = framed(ARCHIVE, leaf.signer(root))
    unknown = canonical_json({**msgspec.json.decode(frame.manifest_json), STEERING: 1})
    entry = manifest_entry(msgspec.Raw(unknown), int(NOW.timestamp()))
    answer = inspect(tmp_path, b"".join(prefix_pieces(entry)), code=1)
    assert "unknown field" in answer.stderr
    assert r"\x1b[31mowned\x07" in answer.stderr
    assert not CONTROLS & set(answer.stderr)
