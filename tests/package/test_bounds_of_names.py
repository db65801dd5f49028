"""Where the bounds of names lie exactly: in bytes, not characters, and which characters are none to show."""

import pytest

from edgepack.package import errors
from edgepack.package.limits import COMPONENT_SIZE_MAX, NAME_SIZE_MAX
from edgepack.package.names import Namespace, check_replaced

ROOMY = 1 << 20


def take(*names: bytes, size_max: int = ROOMY) -> list[str]:
    namespace = Namespace(size_max)
    return [namespace.add_file(name) for name in names]


def test_a_name_may_have_just_as_many_bytes() -> None:
    name = (b"c" * 99 + b"/") * (NAME_SIZE_MAX // 100) + b"d" * (NAME_SIZE_MAX % 100)
    assert len(name) == NAME_SIZE_MAX
    assert take(name) == [name.decode()]
    with pytest.raises(errors.UnsafeMemberError, match="name of more than 4095 bytes"):
        take(name + b"d")


@pytest.mark.parametrize("letter", ["c", "é", "漢"])
def test_a_component_may_have_just_as_many_bytes(letter: str) -> None:
    width = len(letter.encode())
    name = letter * (COMPONENT_SIZE_MAX // width) + "x" * (COMPONENT_SIZE_MAX % width)
    assert take(name.encode()) == [name]
    with pytest.raises(errors.UnsafeMemberError, match="component of more than 255 bytes"):
        take(name.encode() + b"x")


@pytest.mark.parametrize("names", [("abc", "d"), ("é", "漢b")])
def test_names_together_may_have_just_as_many_bytes(names: tuple[str, ...]) -> None:
    raw = [name.encode() for name in names]
    size = sum(len(name) for name in raw)
    assert take(*raw, size_max=size) == list(names)
    with pytest.raises(errors.ArchiveTooLargeError, match="names exceed"):
        take(*raw, size_max=size - 1)


@pytest.mark.parametrize(
    "character",
    "\x01\x1f\x7f\x80\x9f\u2028\u2029\u200e\u200f\u202a\u202e\u2066\u2069",
    ids=lambda each: ascii(each)[1:-1],
)
def test_what_makes_a_listing_lie_is_refused(character: str) -> None:
    with pytest.raises(errors.UnsafeMemberError, match="control character"):
        take(f"a{character}b".encode())


@pytest.mark.parametrize("character", "\xa0\u200d\u2027\u202f\u2065\u206a")
def test_their_neighbours_are_not(character: str) -> None:
    assert take(f"a{character}b".encode()) == [f"a{character}b"]


@pytest.mark.parametrize("name", [b".\\sagemaker_edge_manifest", b"../sagemaker_edge_manifest", b"/SAGEMA~1/a"])
def test_a_header_s_own_name_is_not_the_manifest_s_however_it_is_led_to(name: bytes) -> None:
    with pytest.raises(errors.ForeignManifestError):
        check_replaced(name)


def test_a_file_stands_in_no_folder_s_place() -> None:
    namespace = Namespace(ROOMY)
    namespace.add_file(b"d")
    with pytest.raises(errors.DuplicateMemberError):
        namespace.add_directory(b"D")
    with pytest.raises(errors.DuplicateMemberError):
        namespace.add_file(b"D/x")
