"""No byte of a package can be altered, added or taken away unnoticed; and what a verdict says."""

import gzip
from collections.abc import Iterator
from datetime import UTC

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import load_der_x509_certificate

from edgepack.keys.signing import FileSigner
from edgepack.package.errors import TruncatedError, VerificationError
from edgepack.package.head import verify_head
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import FileVerdict, Verdict, verify_package
from models import tar_gz
from package.conftest import IDENTITY, NOW, Package
from package.making import framed
from package.splicing import chunked

FILES = {"compiled.so": b"\x7fELF" + bytes(600), "labels/names.txt": b"cat\ndog\n", "empty": b""}


@pytest.fixture(scope="module")
def small(package: Package) -> bytes:
    """A package of three small files."""
    return package(tar_gz(FILES))


@pytest.mark.parametrize("flipped", [0x80, 0xFF])
def test_every_altered_byte_is_noticed(small: bytes, trust: TrustRoots, flipped: int) -> None:
    altered = bytearray(small)
    for position in range(len(small)):
        altered[position] ^= flipped
        verdict = verify_package([altered], trust=trust, now=NOW)
        assert not verdict.ok, f"byte {position} of {len(small)}"
        assert verdict.problems or any(file.problem for file in verdict.files)
        altered[position] ^= flipped
    assert verify_package([altered], trust=trust, now=NOW).ok


def test_every_shorter_package_is_refused(small: bytes, trust: TrustRoots) -> None:
    for size in range(len(small)):
        assert not verify_package([small[:size]], trust=trust, now=NOW).ok, size


def test_every_byte_left_out_is_noticed(small: bytes, trust: TrustRoots) -> None:
    for position in range(len(small)):
        shorter = small[:position] + small[position + 1 :]
        assert not verify_package([shorter], trust=trust, now=NOW).ok, position


@pytest.mark.parametrize("inside", [b"", bytes(512), bytes(10240), b"more"])
def test_another_gzip_member_is_refused_whatever_it_holds(small: bytes, trust: TrustRoots, inside: bytes) -> None:
    """As gzip sees it, that is one file of two members; zeros would even do no harm behind a tar archive's end."""
    verdict = verify_package([small, gzip.compress(inside)], trust=trust, now=NOW)
    assert not verdict.ok
    assert "follows the end of the archive" in verdict.problems[0]


def test_each_file_is_judged_by_itself(signer: FileSigner, trust: TrustRoots) -> None:
    """Head and files were signed by the same signer, only not together."""
    head, _ = framed(tar_gz({"same": b"1234", "other": b"5678", "short": b"12", "gone": b""}), signer)
    tail, deflate = framed(tar_gz({"same": b"1234", "other": b"5679", "short": b"1", "new": b""}), signer)
    verdict = verify_package([head.prefix, deflate, tail.trailer], trust=trust, now=NOW)
    assert not verdict.ok
    assert verdict.problems
    assert {file.path: file.problem for file in verdict.files} == {
        "same": None,
        "other": "its content is not what was signed",
        "short": "it has 1 bytes instead of 2",
        "gone": "it is missing, or the package is damaged before it",
        "new": "it is not signed",
    }


def test_another_compression_of_the_same_archive_is_refused(signer: FileSigner, trust: TrustRoots) -> None:
    """The tar stream is right to the last byte; yet these are not the bytes that were signed."""
    files = {"weights": b"abcabcabcabc" * 300}
    fast, _ = framed(tar_gz(files, level=1), signer)
    _, best = framed(tar_gz(files, level=0), signer)
    verdict = verify_package([fast.prefix, best, fast.trailer], trust=trust, now=NOW)
    assert verdict.problems == ("The compressed bytes are not those that were signed.",)
    assert all(file.ok for file in verdict.files)
    assert not verdict.ok


def test_what_the_verdict_tells(small: bytes, signer: FileSigner, trust: TrustRoots) -> None:
    verdict = verify_package(chunked(small, 700), trust=trust, now=NOW)
    certificate = load_der_x509_certificate(signer.certificate_chain[0])
    assert verdict.ok
    assert verdict.identity == IDENTITY
    assert verdict.signed_at == NOW.astimezone(UTC)
    assert verdict.signer is not None
    assert verdict.signer.name == certificate.subject.rfc4514_string()
    assert verdict.signer.fingerprint == certificate.fingerprint(hashes.SHA256()).hex()
    assert [(file.path, file.size) for file in verdict.files] == [(path, len(data)) for path, data in FILES.items()]


def test_what_the_source_raises_comes_out(small: bytes, trust: TrustRoots) -> None:
    def broken() -> Iterator[bytes]:
        yield small[:-20]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        verify_package(broken(), trust=trust, now=NOW)


def test_the_observer_can_stop_it(package: Package, trust: TrustRoots) -> None:
    class StoppedError(Exception):
        pass

    def stop(_: object) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        verify_package(chunked(package(tar_gz({"a": bytes(3 << 20)}))), trust=trust, now=NOW, observe=stop)


# --- the head alone


def test_a_head_is_verified_whatever_follows(signer: FileSigner, trust: TrustRoots) -> None:
    frame, _ = framed(tar_gz({"a": b"1"}), signer)
    head = verify_head(frame.prefix, trust=trust, now=NOW)
    assert [file.path for file in head.manifest.files] == ["a"]
    assert verify_head(frame.prefix + b"anything", trust=trust, now=NOW) == head


def test_a_head_that_needs_more_bytes_says_so(signer: FileSigner, trust: TrustRoots) -> None:
    frame, _ = framed(tar_gz({"a": b"1"}), signer)
    for size in range(len(frame.prefix)):
        with pytest.raises(TruncatedError):
            verify_head(frame.prefix[:size], trust=trust, now=NOW)


def test_every_altered_byte_of_a_head_is_noticed(signer: FileSigner, trust: TrustRoots) -> None:
    frame, _ = framed(tar_gz({"a": b"1"}), signer)
    head = bytearray(frame.prefix)
    for position in range(len(head)):
        head[position] ^= 0x04
        with pytest.raises((VerificationError, TruncatedError)):
            verify_head(bytes(head), trust=trust, now=NOW)
        head[position] ^= 0x04


def test_a_head_of_many_stored_blocks(package: Package, trust: TrustRoots) -> None:
    """A thousand files make a manifest of several blocks of 64 kB."""
    packaged = package(tar_gz({f"part-{number:04}": b"%d" % number for number in range(1000)}))
    assert len(packaged) > 3 * 65535
    assert verify_package(chunked(packaged), trust=trust, now=NOW).ok


def test_a_verdict_is_no_better_than_its_worst_file() -> None:
    """Whatever else is said of the package."""
    verdict = Verdict(files=(FileVerdict("a", 1, "00"), FileVerdict("b", 1, "00", "it is missing")), identity=IDENTITY)
    assert not verdict.ok
    assert Verdict(files=verdict.files[:1], identity=IDENTITY).ok
