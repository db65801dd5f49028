"""Other people's readers see in a package what edgepack hashed: GNU tar, Python, model_signing, openssl."""

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.keys.signing import FileSigner, export_trust
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from models import compiled_archive
from package.conftest import NOW, Package
from package.making import package_of
from package.splicing import chunked

MANIFEST = "sagemaker_edge_manifest"
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789 _-+äж漢", min_size=1, max_size=30).map(lambda text: f"x{text}y")
LONG_WORD = st.integers(90, 240).map(lambda length: "long" * (length // 4))
PATHS = st.lists(WORD | LONG_WORD, min_size=1, max_size=4).map("/".join)
FORMATS = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])


def fit_together(paths: list[str]) -> bool:
    """No path is another one's folder, and none differs in case only."""
    folded = [f"{path.casefold()}/" for path in paths]
    return all(not one.startswith(other) for one in folded for other in folded if one is not other)


TREES = st.lists(PATHS, min_size=1, max_size=5, unique_by=str.casefold).filter(fit_together)


def archive_of(files: Mapping[str, bytes], kind: int, *, folders: bool, level: int) -> bytes:
    """As tar would make it: with or without entries for the folders."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=kind, compresslevel=level) as tar:
        made: set[str] = set()
        for path, content in files.items():
            for parent in reversed(Path(path).parents[:-1]) if folders else ():
                if str(parent) not in made:
                    made.add(str(parent))
                    entry = tarfile.TarInfo(str(parent))
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(content), 1_700_000_000
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def read_by_python(package: bytes) -> dict[str, bytes]:
    """Streaming, which never seeks back."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(package), mode="r|gz") as tar:
        for member in tar:
            if member.isfile():
                content = tar.extractfile(member)
                assert content is not None
                found[member.name] = content.read()
    return found


def read_by_gnu_tar(package: bytes) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = subprocess.run(["tar", "-xzf", "-", "-C", name], input=package, capture_output=True, check=True)
        assert done.stderr == b""
        return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    paths=TREES,
    contents=st.lists(st.binary(max_size=2000), min_size=5, max_size=5),
    kind=FORMATS,
    folders=st.booleans(),
    level=st.integers(0, 9),
)
def test_every_reader_unpacks_what_was_hashed(
    package: Package,
    trust: TrustRoots,
    paths: list[str],
    contents: list[bytes],
    kind: int,
    level: int,
    *,
    folders: bool,
) -> None:
    files = dict(zip(paths, contents, strict=False))
    packaged = package(archive_of(files, kind, folders=folders, level=level))
    verdict = verify_package(chunked(packaged, 777), trust=trust, now=NOW)
    assert verdict.ok, verdict.problems
    signed = {file.path: file.sha256 for file in verdict.files}
    assert signed == {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    assert next(iter(read_by_python(packaged))) == MANIFEST
    for found in (read_by_python(packaged), read_by_gnu_tar(packaged)):
        found.pop(MANIFEST)
        assert found == files


@pytest.mark.parametrize(("form", "long_name"), [("gnu", "n" * 200), ("posix", "n" * 200), ("ustar", "n" * 99)])
def test_what_gnu_tar_packs_and_unpacks_again(
    package: Package, trust: TrustRoots, tmp_path: Path, form: str, long_name: str
) -> None:
    """`tar czf model.tar.gz -C folder .`, with its `./` names and folder entries."""
    (tmp_path / "labels").mkdir()
    files = {"model.so": bytes(range(256)) * 100, "labels/names.txt": b"cat\n", long_name: b"long name"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    command = ["tar", f"--format={form}", "-czf", "-", "-C", str(tmp_path), "."]
    packaged = package(subprocess.run(command, capture_output=True, check=True).stdout)
    assert verify_package([packaged], trust=trust, now=NOW).ok
    found = read_by_gnu_tar(packaged)
    assert json.loads(found.pop(MANIFEST))["schema_version"] == "1.0"
    assert found == files


# --- the signature, checked by others


@pytest.fixture
def unpacked(package: Package, tmp_path: Path) -> Path:
    """A package's files in `model`, its bundle in `model.sig`."""
    return unpack(package(compiled_archive()), tmp_path)


def unpack(packaged: bytes, folder: Path) -> Path:
    (folder / "model").mkdir()
    subprocess.run(["tar", "-xzf", "-", "-C", folder / "model"], input=packaged, check=True)
    manifest = json.loads((folder / "model" / MANIFEST).read_bytes())
    (folder / "model.sig").write_text(json.dumps(manifest["signature"]))
    return folder


def model_signing(folder: Path, *how: str) -> int:
    """The exit code of OpenSSF's own verifier."""
    command = Path(sys.executable).with_name("model_signing")
    return subprocess.run(
        [command, "verify", *how, "--signature", "model.sig", "--ignore-paths", f"model/{MANIFEST}", "model"],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=60,
    ).returncode


def test_model_signing_notices_a_file_more(unpacked: Path, keys: Path) -> None:
    (unpacked / "root.pem").write_bytes(export_trust(keys))
    assert model_signing(unpacked, "certificate", "--certificate_chain", "root.pem") == 0
    (unpacked / "model" / "more").write_bytes(b"")
    assert model_signing(unpacked, "certificate", "--certificate_chain", "root.pem") != 0


def test_model_signing_accepts_a_bare_key_s_signature(tmp_path: Path) -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    unpack(package_of(compiled_archive(), FileSigner(key)), tmp_path)
    for name, each in (("key.pem", key), ("other.pem", other)):
        (tmp_path / name).write_bytes(each.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert model_signing(tmp_path, "key", "--public_key", "key.pem") == 0
    assert model_signing(tmp_path, "key", "--public_key", "other.pem") != 0


def test_openssl_checks_chain_and_signature(unpacked: Path, keys: Path) -> None:
    """With nothing but openssl and a JSON parser, as docs/package-format.md describes it."""
    bundle = json.loads((unpacked / "model.sig").read_bytes())
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    leaf = x509.load_der_x509_certificate(base64.b64decode(chain[0]["rawBytes"]))
    (unpacked / "root.pem").write_bytes(export_trust(keys))
    (unpacked / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    (unpacked / "key.pem").write_bytes(leaf.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (unpacked / "sig.der").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    message = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)

    def openssl(*arguments: str, data: bytes = b"") -> bool:
        command = ["openssl", *arguments]
        return subprocess.run(command, cwd=unpacked, input=data, capture_output=True, check=False).returncode == 0

    at = str(int(NOW.timestamp()))
    assert openssl("verify", "-x509_strict", "-attime", at, "-CAfile", "root.pem", "leaf.pem")
    assert openssl("dgst", "-sha256", "-verify", "key.pem", "-signature", "sig.der", data=message)
    assert not openssl("dgst", "-sha256", "-verify", "key.pem", "-signature", "sig.der", data=message + b" ")
