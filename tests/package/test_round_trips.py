"""Any archive that is accepted comes out of its package as it went in, by every reader, and verifies."""

import gzip
import io
import json
import os
import subprocess
import tarfile
import unicodedata
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.keys.signing import FileSigner, export_trust
from edgepack.package.head import verify_head
from edgepack.package.names import collision_key
from edgepack.package.scan import scan_archive
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from models import compiled_archive, tar_gz
from package.conftest import NOW, Package
from package.splicing import chunked

NAMES = st.lists(
    st.text(st.characters(codec="utf-8", categories=["Ll", "Nd"]), min_size=1, max_size=40).map(
        lambda name: unicodedata.normalize("NFC", f"f{name}")
    ),
    min_size=1,
    max_size=6,
    unique_by=collision_key,
)
"""Composed ones (NFC): Python writes names that are not ASCII into pax headers, where no others are taken."""


def contents(package: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


@settings(max_examples=60)
@given(names=NAMES, data=st.data(), level=st.integers(0, 9), chunk=st.integers(1, 5000))
def test_what_goes_in_comes_out_and_verifies(
    package: Package, trust: TrustRoots, names: list[str], data: st.DataObject, level: int, chunk: int
) -> None:
    files = {name: data.draw(st.binary(max_size=3000)) for name in names}
    packaged = package(tar_gz(files, level=level))
    found = contents(packaged)
    manifest = json.loads(found.pop("sagemaker_edge_manifest"))
    assert found == files
    assert manifest["metadata"]["model_name"] == "resnet"
    verdict = verify_package(chunked(packaged, chunk), trust=trust, now=NOW)
    assert verdict.ok, verdict.problems
    assert [file.path for file in verdict.files] == list(files)


def test_the_deflate_bytes_are_the_source_s_own(package: Package) -> None:
    archive = compiled_archive()
    scan = scan_archive([archive])
    assert archive[scan.deflate_start : scan.deflate_end] in package(archive)


def test_a_large_member_crosses_blocks(package: Package, trust: TrustRoots) -> None:
    files = {"a": b"x", "weights": os.urandom(5 << 20), "z": b"y" * 100_000}
    packaged = package(tar_gz(files, level=1))
    assert verify_package(chunked(packaged), trust=trust, now=NOW).ok
    found = contents(packaged)
    del found["sagemaker_edge_manifest"]
    assert found == files


def test_several_gzip_members_are_repacked(package: Package, trust: TrustRoots) -> None:
    plain = gzip.decompress(compiled_archive())
    archive = b"".join(gzip.compress(plain[start : start + 7000], mtime=0) for start in range(0, len(plain), 7000))
    assert not scan_archive([archive]).spliceable
    packaged = package(archive)
    assert verify_package(chunked(packaged), trust=trust, now=NOW).ok
    found = contents(packaged)
    del found["sagemaker_edge_manifest"]
    assert found == contents(compiled_archive())


def test_a_gzip_header_with_everything_in_it_is_taken_off(package: Package, trust: TrustRoots) -> None:
    body = compiled_archive()[10:]
    header = b"\x1f\x8b\x08\x1e\x00\x00\x00\x00\x00\x03" + b"\x04\x00abcd" + b"name\0" + b"comment\0"
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    packaged = package(header + body)
    assert b"comment" not in packaged
    assert verify_package([packaged], trust=trust, now=NOW).ok


def test_gnu_tar_lists_the_manifest_first_and_unpacks_all(package: Package, tmp_path: Path) -> None:
    file = tmp_path / "package.tar.gz"
    file.write_bytes(package(compiled_archive()))
    listed = subprocess.run(["tar", "tzf", file], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == ["sagemaker_edge_manifest", *contents(compiled_archive())]
    assert listed.stderr == ""
    subprocess.run(["tar", "xzf", file, "-C", tmp_path], check=True)
    for name, content in contents(compiled_archive()).items():
        assert (tmp_path / name).read_bytes() == content
    subprocess.run(["gzip", "-t", file], check=True)


def test_model_signing_verifies_the_extracted_files(
    package: Package, keys: Path, signer: FileSigner, tmp_path: Path
) -> None:
    """OpenSSF's own command, which knows nothing of edgepack, agrees; and disagrees once a byte is changed."""
    with tarfile.open(fileobj=io.BytesIO(package(compiled_archive()))) as tar:
        tar.extractall(tmp_path / "model", filter="data")
    manifest = json.loads((tmp_path / "model" / "sagemaker_edge_manifest").read_bytes())
    (tmp_path / "model.sig").write_text(json.dumps(manifest["signature"]))
    (tmp_path / "root.pem").write_bytes(export_trust(keys))

    def model_signing() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [
                Path(os.sys.executable).parent / "model_signing",  # type: ignore[attr-defined]
                "verify",
                "certificate",
                tmp_path / "model",
                "--signature",
                tmp_path / "model.sig",
                "--certificate_chain",
                tmp_path / "root.pem",
                "--ignore-paths",
                tmp_path / "model" / "sagemaker_edge_manifest",
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )

    agreed = model_signing()
    assert agreed.returncode == 0, agreed.stdout + agreed.stderr
    (tmp_path / "model" / "compiled.so").write_bytes(b"other")
    assert model_signing().returncode != 0


def test_the_head_can_be_verified_alone(package: Package, trust: TrustRoots) -> None:
    packaged = package(compiled_archive())
    head = verify_head(packaged[: len(packaged) - 100], trust=trust, now=NOW)
    assert head.identity.compilation_job_name == "resnet-arm64"
    assert head.signed_at == NOW


@pytest.mark.parametrize("cut", [0, 5, 100, 600, 2000])
def test_a_cut_package_is_not_verified(package: Package, trust: TrustRoots, cut: int) -> None:
    verdict = verify_package([package(compiled_archive())[:cut]], trust=trust, now=NOW)
    assert not verdict.ok
    assert verdict.problems
