"""Whatever edgepack accepts, every other reader unpacks as the same files: nothing hides from the signature."""

from collections.abc import Iterable
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings

from edgepack.errors import ArtifactError
from edgepack.package.scan import ArchiveScan, scan_archive
from package.odd_archives import READ, REFUSED
from package.splicing import chunked
from package.tar_mixtures import archives
from package.tar_readers import PYTHON, Reader, View, as_packaged, programs

PROGRAMS = programs()
# The same examples each time: looking for new ones is what `make fuzz` is for.
patient = partial(settings, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def looked_at(archive: bytes) -> tuple[View, bytes] | str:
    """What edgepack sees, and what it packages; or why it refuses."""
    try:
        return as_packaged(archive)
    except ArtifactError as error:
        return error.message


def compare(archive: bytes, readers: dict[str, Reader]) -> bool:
    """Whether edgepack accepts the archive; if so, all readers agree with it."""
    found = looked_at(archive)
    if isinstance(found, str):
        assert found
        return False
    view, packaged = found
    for name, read in readers.items():
        assert read(packaged) == view, name
    return True


@pytest.mark.parametrize("name", READ)
def test_odd_archives_that_everybody_reads_alike(name: str) -> None:
    assert compare(READ[name](), PROGRAMS | PYTHON)


@pytest.mark.parametrize("name", REFUSED)
def test_odd_archives_that_are_refused(name: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        scan_archive([REFUSED[name]()])
    assert caught.value.message
    assert caught.value.advice


@pytest.mark.parametrize("size", [1, 7, 513])
def test_it_makes_no_difference_how_the_bytes_arrive(size: int) -> None:
    def found(chunks: Iterable[bytes]) -> ArchiveScan | str:
        try:
            return scan_archive(chunks)
        except ArtifactError as error:
            return f"{error.code}: {error.message}"

    for name, make in (READ | REFUSED).items():
        archive = make()
        assert found(chunked(archive, size)) == found([archive]), name


@patient(max_examples=400)
@given(archive=archives())
def test_python_agrees_about_whatever_is_accepted(archive: bytes) -> None:
    compare(archive, PYTHON)


@patient(max_examples=60)
@given(archive=archives())
def test_everybody_agrees_about_whatever_is_accepted(archive: bytes) -> None:
    compare(archive, PROGRAMS)
