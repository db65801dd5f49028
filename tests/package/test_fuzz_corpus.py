"""The fuzzers' corpus, run once without a fuzzer: see `fuzz/`, and `make fuzz`."""

import gzip
from pathlib import Path

import pytest

from edgepack.package.scan import scan_archive
from fuzz_targets import ARCHIVES, CORPUS, ORIGINAL, check_archive, check_package, framed, original, with_checksums
from package.odd_archives import READ, altered, packed

ARCHIVE_SEEDS = sorted((CORPUS / "archive").iterdir())
PACKAGE_SEEDS = sorted((CORPUS / "package").iterdir())


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("seed", ARCHIVE_SEEDS, ids=name)
def test_the_reader_holds(seed: Path) -> None:
    check_archive(seed.read_bytes())


@pytest.mark.parametrize("seed", PACKAGE_SEEDS, ids=name)
def test_the_verifier_holds(seed: Path) -> None:
    check_package(seed.read_bytes())


@pytest.mark.parametrize("seed", [ARCHIVE_SEEDS[0], ARCHIVE_SEEDS[-1], ORIGINAL], ids=name)
def test_both_hold_when_a_byte_is_another(seed: Path) -> None:
    data = bytearray(seed.read_bytes())
    check = check_package if seed == ORIGINAL else check_archive
    for position in range(0, len(data), 97):
        data[position] ^= 0x41
        check(bytes(data))
        data[position] ^= 0x41


def test_the_original_is_a_package() -> None:
    assert framed(ORIGINAL.read_bytes()) == original()[0]


def test_every_framing_reaches_the_tar_reader() -> None:
    archive = packed(altered(0, b"b"))
    tar = gzip.decompress(archive)
    for kind, rest in enumerate((archive, archive[10:-8], tar, tar.replace(b"b", b"c", 1))):
        assert scan_archive([ARCHIVES[kind](rest)]).files
    assert with_checksums(tar) == tar


def test_a_difference_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = READ["old type"]()
    monkeypatch.setattr("fuzz_targets.as_packaged", lambda _: ({"other": ""}, packaged))
    with pytest.raises(AssertionError):
        check_archive(b"\0" + packaged)
