"""docs/package-format.md is enough: a verifier written from it alone, and its own commands."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from edgepack.keys.signing import ensure_signing_keys, export_trust
from edgepack.package import extended_headers
from edgepack.package.names import collision_key
from models import compiled_archive, tar_gz
from package.conftest import NOW, Package

PAGE = (Path(__file__).parents[2] / "docs" / "package-format.md").read_text(encoding="utf-8")
MANIFEST = b"sagemaker_edge_manifest"


# --- the page's verifier: nothing of edgepack below, and plain names in the archive


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def stored(entry: bytes) -> bytes:
    blocks = [entry[start : start + 65535] for start in range(0, len(entry), 65535)]
    sizes = [len(block).to_bytes(2, "little") for block in blocks]
    return b"".join(
        b"\0" + size + bytes(255 - byte for byte in size) + block for size, block in zip(sizes, blocks, strict=True)
    )


def ustar(manifest: bytes, signed_at: int) -> bytes:
    fields = {0: MANIFEST, 100: b"0000644", 108: b"0000000", 116: b"0000000", 124: b"%011o" % len(manifest)}
    fields |= {
        136: b"%011o" % signed_at,
        148: b" " * 8,
        156: b"0",
        257: b"ustar\x0000",
        329: b"0000000",
        337: b"0000000",
    }
    header = bytearray(512)
    for offset, value in fields.items():
        header[offset : offset + len(value)] = value
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + manifest + bytes(-len(manifest) % 512)


def files_and_framing(tar: bytes) -> tuple[list[dict[str, Any]], str]:
    """Of a tar stream without extended headers."""
    files, framing, position = [], hashlib.sha256(), 0
    while tar[position] != 0:
        header = tar[position : position + 512]
        size = int(header[124:135], 8)
        content = tar[position + 512 : position + 512 + size]
        padding = -size % 512
        framing.update(header + tar[position + 512 + size : position + 512 + size + padding])
        digest = hashlib.sha256(content).hexdigest()
        files.append({"path": header[:100].rstrip(b"\0").decode(), "sha256": digest, "size": size})
        position += 512 + size + padding
    framing.update(tar[position:])
    return files, framing.hexdigest()


def claims(package: bytes, root: x509.Certificate) -> Iterator[tuple[str, object, object]]:
    """What the page says must be equal, in its order."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    inflated = inflater.decompress(package) + inflater.flush()
    yield "nothing follows", inflater.unused_data, b""
    size = int(inflated[124:135], 8)
    manifest_json = inflated[512 : 512 + size]
    manifest = json.loads(manifest_json)
    yield "canonical manifest", canonical(manifest), manifest_json
    bundle = manifest.pop("signature")
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    statement = json.loads(payload)
    yield "canonical statement", canonical(statement), payload
    predicate, rest = statement["predicate"], statement["predicate"]["edgepack"]
    entry = ustar(manifest_json, int(seconds(rest["signed_at"])))
    prefix = bytes.fromhex("1f8b08000000000000ff") + stored(entry)
    while rest["deflate_size"] >= 1 << 24 and len(prefix) % 4096:
        prefix += bytes.fromhex("000000ffff")
    yield "prefix", package[: len(prefix)], prefix
    chain = [
        base64.b64decode(each["rawBytes"])
        for each in bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    ]
    leaf = x509.load_der_x509_certificate(chain[0])
    leaf.verify_directly_issued_by(root)
    message = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), message, ec.ECDSA(hashes.SHA256()))
    pem = ["-----BEGIN CERTIFICATE-----\n" + base64_lines(der) + "-----END CERTIFICATE-----\n" for der in chain]
    yield "chain", manifest["certificate_chain"], pem
    yield "unsigned manifest", rest["manifest_sha256"], hashlib.sha256(canonical(manifest)).hexdigest()
    yield "metadata", rest["metadata"], manifest["metadata"]
    yield "platform", rest.get("target_platform"), manifest.get("target_platform")
    tar, deflate = inflated[len(entry) :], package[len(prefix) : -8]
    files, framing = files_and_framing(tar)
    yield "files", manifest["files"], files
    yield "framing", rest["framing_sha256"], framing
    yield "tar", (rest["tar_size"], rest["tar_crc32"]), (len(tar), zlib.crc32(tar))
    yield "deflate", (rest["deflate_size"], rest["deflate_crc32"]), (len(deflate), zlib.crc32(deflate))
    resources = sorted(
        ({"algorithm": "sha256", "digest": each["sha256"], "name": each["path"]} for each in files),
        key=lambda each: each["name"],
    )
    yield "resources", predicate["resources"], resources
    digest = hashlib.sha256(b"".join(bytes.fromhex(each["digest"]) for each in resources)).hexdigest()
    yield "subject", statement["subject"], [{"digest": {"sha256": digest}, "name": manifest["metadata"]["model_name"]}]
    yield "versions", (rest["schema_version"], manifest["schema_version"]), ("1.0", "1.0")
    trailer = zlib.crc32(inflated).to_bytes(4, "little") + (len(inflated) % 2**32).to_bytes(4, "little")
    yield "trailer", package[-8:], trailer


def base64_lines(der: bytes) -> str:
    text = base64.b64encode(der).decode()
    return "".join(text[start : start + 64] + "\n" for start in range(0, len(text), 64))


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize("count", [1, 5, 900])
def test_a_verifier_written_from_the_page_agrees(package: Package, keys: Path, count: int) -> None:
    archive = tar_gz({f"file-{number * 7 % 1000}": b"%d" % number * number for number in range(count)})
    root = x509.load_pem_x509_certificate(export_trust(keys))
    names = []
    for name, found, expected in claims(package(archive), root):
        assert found == expected, name
        names.append(name)
    assert len(names) == 16


@pytest.mark.parametrize("size", [(1 << 24) - 4096, 1 << 24])
def test_it_agrees_on_large_packages_too(package: Package, keys: Path, size: int) -> None:
    packaged = package(tar_gz({"weights": os.urandom(size)}, level=0))
    root = x509.load_pem_x509_certificate(export_trust(keys))
    for name, found, expected in claims(packaged, root):
        assert found == expected, name


def test_a_verifier_written_from_the_page_notices(package: Package, keys: Path) -> None:
    """That it agrees means something: it does not with a package whose mode bits were changed."""
    packaged = package(tar_gz({"a": b"1"}, level=0))
    at = packaged.rindex(b"0000644")
    changed = packaged[:at] + b"0000755" + packaged[at + 7 :]
    root = x509.load_pem_x509_certificate(export_trust(keys))
    with pytest.raises(zlib.error, match="incorrect data check"):
        list(claims(changed, root))
    mended = (
        changed[:-8] + zlib.crc32(zlib.decompressobj(31).decompress(changed[:-8])).to_bytes(4, "little") + changed[-4:]
    )
    assert {name for name, found, expected in claims(mended, root) if found != expected} == {
        "framing",
        "tar",
        "deflate",
    }


# --- the page's names


def key_of(path: str) -> str:
    """The five steps of the page."""
    text = unicodedata.normalize("NFD", path)
    text = text.casefold()
    text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    text = unicodedata.normalize("NFC", text)
    parts = (part.split(":")[0].rstrip(". ") for part in text.split("/"))
    return "/".join(re.sub('[<>"|?*]', "_", part) for part in parts)


NAMES = [
    "e\u200d\u0301",
    "\u00e9",
    "A. :b/c. .",
    'Q<>"|?*',
    "\u1e9e",
    "\u0345\u0301",
    "\u03b1\u0345\u0301",
    "\ufeffx",
    "\u212b",
]
"""A joiner inside of a letter, what Windows strips, letters that fold to several, marks in two orders."""


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_are_compared_as_the_page_says(name: str) -> None:
    assert collision_key(name) == key_of(name)


def test_the_page_s_example_of_two_names_of_one_file() -> None:
    assert "U+0065 U+200D U+0301 and U+00E9 have one key" in PAGE
    assert key_of("e\u200d\u0301") == key_of("\u00e9")


def test_the_page_lists_what_extended_headers_may_say() -> None:
    table = PAGE.partition("**Extended headers**")[2].partition("**Structure**")[0]
    prefixes = {f"{prefix}`…" for prefix in extended_headers._PAX_IGNORED_PREFIXES}
    for keyword in {"path", "size", "hdrcharset"} | extended_headers._PAX_IGNORED | prefixes:
        assert f"`{keyword}" in table, keyword


# --- the page's commands

COMMANDS = "set -eu\n" + "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL))


def run_commands(folder: Path) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", COMMANDS],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_page_s_commands_accept_a_package(package: Package, keys: Path, tmp_path: Path) -> None:
    (tmp_path / "package.tar.gz").write_bytes(package(compiled_archive({".gitignore": b"*.o\n"})))
    (tmp_path / "root.pem").write_bytes(export_trust(keys))
    done = run_commands(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verification succeeded" in done.stdout
    assert "signing.pem: OK" in done.stdout
    assert "Verified OK" in done.stdout


def test_the_page_s_commands_refuse_another_root(package: Package, tmp_path: Path) -> None:
    ensure_signing_keys(tmp_path / "other", now=NOW)
    (tmp_path / "package.tar.gz").write_bytes(package(compiled_archive()))
    (tmp_path / "root.pem").write_bytes(export_trust(tmp_path / "other"))
    assert run_commands(tmp_path).returncode != 0
