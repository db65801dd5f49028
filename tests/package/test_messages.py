"""What is told of a file that does not verify: where it is wrong, by offsets in the file, and what to do about it."""

import gzip
import os
from collections.abc import Callable

import pytest

from edgepack.keys.signing import FileSigner
from edgepack.package import errors
from edgepack.package.entry import manifest_header
from edgepack.package.gzip_format import CANONICAL_HEADER, STORED_BLOCK_HEADER_SIZE, STORED_BLOCK_MAX, stored_header
from edgepack.package.head import read_unverified_head
from edgepack.package.limits import MANIFEST_SIZE_MAX, ArchiveLimits
from edgepack.package.manifest import ModelIdentity, TargetPlatform
from edgepack.package.scan import Progress
from edgepack.package.source import Source
from edgepack.package.tar_headers import BLOCK_SIZE
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from models import tar_gz
from package.conftest import NOW, Package
from package.making import framed
from package.splicing import chunked, scanned
from package.tar_blocks import END, content, extended, header, patched, record

PREFIX_START = len(CANONICAL_HEADER) + STORED_BLOCK_HEADER_SIZE
MODEL = {"weights": os.urandom(50_000), "b": b"x"}


def problem(package: bytes, trust: TrustRoots, limits: ArchiveLimits | None = None) -> str:
    verdict = verify_package(chunked(package), trust=trust, now=NOW, limits=limits or ArchiveLimits())
    assert not verdict.ok
    (problem,) = verdict.problems
    return problem


# --- where


@pytest.mark.parametrize("missing", [1, 9, 20_000])
def test_a_cut_is_told_by_the_size_of_the_file(package: Package, trust: TrustRoots, missing: int) -> None:
    cut = package(tar_gz(MODEL))[:-missing]
    assert f"ends after {len(cut)} bytes" in problem(cut, trust)


def test_a_cut_right_behind_the_head_is_too(signer: FileSigner, trust: TrustRoots) -> None:
    frame, _ = framed(tar_gz(MODEL), signer)
    assert f"ends after {len(frame.prefix)} bytes" in problem(frame.prefix, trust)


def test_what_follows_is_told_by_its_offset_in_the_file(package: Package, trust: TrustRoots) -> None:
    packaged = package(tar_gz(MODEL))
    assert f"at byte {len(packaged)}." in problem(packaged + b"junk", trust)


def test_progress_counts_the_whole_file(package: Package, trust: TrustRoots) -> None:
    seen: list[Progress] = []
    packaged = package(tar_gz(MODEL))
    assert verify_package([packaged], trust=trust, now=NOW, observe=seen.append).ok
    assert seen[-1].bytes_read == len(packaged)


def test_the_manifest_does_not_buy_a_bomb_room(package: Package, trust: TrustRoots) -> None:
    """Of 100 kB of zeros, 200 times as much as they are compressed to, but 20 times as much as head and all."""
    limits = ArchiveLimits(ratio=200, ratio_free_size=0)
    assert "decompression bomb" in problem(package(tar_gz({"zeros": bytes(100_000)})), trust, limits)


# --- another file than a package


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"hello\n", "is not a gzip file"),
        (b"h", "is not a gzip file"),
        (b"PK\3\4" * 500, "is not a gzip file"),
        (
            tar_gz(MODEL),
            "looks like a model artifact that has not been packaged. Package it first (`edgepack package`)",
        ),
        (gzip.compress(b""), "looks like a model artifact"),
    ],
    ids=["text", "one byte", "zip", "model artifact", "gzip of nothing"],
)
@pytest.mark.parametrize("chunk", [1, 65_537])
def test_another_file_is_not_called_cut_off(trust: TrustRoots, data: bytes, says: str, chunk: int) -> None:
    with pytest.raises(errors.NotPackagedError) as caught:
        read_unverified_head(Source(chunked(data, chunk)))
    assert says in caught.value.diagnostics()
    assert says in problem(data, trust)


def test_an_empty_file_is_called_empty(trust: TrustRoots) -> None:
    assert "The file is empty" in problem(b"", trust)


@pytest.mark.parametrize("size", [1, 9, 14, 20, 37])
def test_what_begins_as_a_package_is_called_cut_off(package: Package, trust: TrustRoots, size: int) -> None:
    assert f"ends after {size} bytes" in problem(package(tar_gz(MODEL))[:size], trust)


@pytest.mark.parametrize(
    ("size", "error", "says"),
    [
        (0, errors.ManifestError, "claims 0 bytes"),
        (MANIFEST_SIZE_MAX, errors.TruncatedError, "ends after"),
        (MANIFEST_SIZE_MAX + 1, errors.ManifestError, f"claims {MANIFEST_SIZE_MAX + 1} bytes"),
    ],
)
def test_how_large_a_manifest_is_read(package: Package, size: int, error: type[Exception], says: str) -> None:
    """In a package that says so and ends at once: nothing is read, or made room for, on the word of a header."""
    opening = bytearray(package(tar_gz(MODEL))[:PREFIX_START])
    entry = manifest_header(size, int(NOW.timestamp()))
    blocks = stored_header(min(STORED_BLOCK_MAX, BLOCK_SIZE + size + -size % BLOCK_SIZE))
    opening[PREFIX_START - len(blocks) :] = blocks
    with pytest.raises(error, match=says):
        read_unverified_head(Source([bytes(opening) + entry + b"{"]))


# --- what to do

RENAMED = [
    ("not UTF-8", lambda: [patched(header("a"), 0, b"a\xff")]),
    ("control character", lambda: [header("a\nb")]),
    ("backslash", lambda: [header("a\\b")]),
    ("drive letter", lambda: [header("C:x")]),
    ("long component", lambda: [extended(b"c" * 256 + b"\0", b"L"), header()]),
    ("long name", lambda: [extended(b"c/" * 2100 + b"c\0", b"L"), header()]),
    ("not composed", lambda: [extended(record("path", "a\u0308")), header("b")]),
]


@pytest.mark.parametrize("blocks", [each[1] for each in RENAMED], ids=[each[0] for each in RENAMED])
def test_a_name_that_cannot_stay_is_to_be_renamed(blocks: Callable[[], list[bytes]]) -> None:
    with pytest.raises(errors.UnsafeMemberError) as caught:
        scanned(*blocks(), END)
    assert caught.value.advice.startswith("Rename ")


def test_a_path_that_leads_out_is_to_be_packed_otherwise() -> None:
    with pytest.raises(errors.UnsafeMemberError) as caught:
        scanned(header("../a"), END)
    assert "Pack with relative names" in caught.value.advice


def test_a_header_without_a_name_is_not_helped_by_relative_names() -> None:
    for blocks in ([patched(header("a"), 0, bytes(1))], [extended(b"x\0", b"L"), patched(header(), 0, b"\0")]):
        with pytest.raises(errors.UnsafeMemberError) as caught:
            scanned(*blocks, END)
        assert "Make the archive again" in caught.value.advice


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"a\xff", r"'a\xff'"),
        (b"a\\b", r"'a\\b'"),
        ("漢\n".encode(), r"'\u6f22\n'"),
        ("漢\n", r"'\u6f22\n'"),
        (b"\xe6\xbc", r"'\xe6\xbc'"),
    ],
)
def test_a_hostile_name_is_escaped_once(name: bytes | str, told: str) -> None:
    assert errors.shown(name) == told


def test_a_reason_inside_a_sentence_has_no_full_stop() -> None:
    with pytest.raises(errors.NotTarError, match=r"tar archive \(A tar header's checksum is wrong\)\.$"):
        scanned(content(b"text" * 128))


# --- who it is


@pytest.mark.parametrize("member", ["model_name", "model_version", "target_device", "compilation_job_name"])
@pytest.mark.parametrize("text", ["\udcff", "", "a\x7f", "a" * 256])
def test_an_identity_is_text(member: str, text: str) -> None:
    values = {"model_name": "m", "model_version": "1", member: text}
    with pytest.raises(errors.IdentityError, match=member):
        ModelIdentity(target_platform=TargetPlatform(os="LINUX", arch="ARM64"), **values).metadata()
