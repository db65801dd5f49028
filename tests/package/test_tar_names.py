"""Names of members: one that leads elsewhere, or that some system takes for another one, is refused."""

from collections.abc import Callable

import pytest

from edgepack.package import errors
from package.splicing import paths, scanned
from package.tar_blocks import END, extended, header, patched, record

Refusal = tuple[str, Callable[[], list[bytes]], type[Exception], str]


def test_names_that_only_look_like_the_manifests() -> None:
    names = ["sagemaker_edge_manifest2", "sagema~", "sagema~x", "sagema~10", "a/sagema~1", "a/sagemaker_edge_manifest"]
    assert paths(*(header(name) for name in names), END) == names


def test_a_hostile_name_is_shown_short_and_plain() -> None:
    with pytest.raises(errors.UnsafeMemberError) as caught:
        scanned(extended(b"\x1b[31m" + b"z" * 3000 + b"\0", b"L"), header(), END)
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 300


def test_a_folder_may_be_called_as_apple_calls_attributes() -> None:
    names = ["._d/a", "d/.a", "_._a"]
    assert paths(*(header(name) for name in names), END) == names


def test_the_advice_against_apple_s_attributes_is_how_to_leave_them_out() -> None:
    with pytest.raises(errors.UnsafeMemberError) as caught:
        scanned(header("._a"), END)
    assert "COPYFILE_DISABLE=1" in caught.value.advice


SHOWS_NOTHING = [
    *("\u00ad", "\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u180b", "\u180d", "\u180f", "\u200b", "\u2065"),
    *(
        "\u3164",
        "\ufe00",
        "\ufe0f",
        "\ufeff",
        "\uffa0",
        "\ufff0",
        "\U000e0000",
        "\U000e0100",
        "\U000e01ef",
        "\U000e0fff",
    ),
]


@pytest.mark.parametrize("character", SHOWS_NOTHING, ids=ascii)
def test_a_character_that_shows_nothing_makes_no_other_name(character: str) -> None:
    with pytest.raises(errors.DuplicateMemberError, match="are one file"):
        scanned(header("d/ab"), header(f"d/a{character}b"), END)
    assert paths(header(f"d/a{character}b"), END) == [f"d/a{character}b"]


def test_a_mark_behind_one_that_shows_nothing_is_composed() -> None:
    """Names are compared in composed form as they are without it."""
    with pytest.raises(errors.DuplicateMemberError, match="are one file"):
        scanned(header("\xe4"), header("a\u034f\u0308"), END)


REFUSED: list[Refusal] = [
    ("manifest in capitals", lambda: [header("SageMaker_Edge_Manifest")], errors.ForeignManifestError, "SageMaker"),
    ("folder out", lambda: [header("../d", 0, b"5")], errors.UnsafeMemberError, r"\.\./d"),
    ("folder twice", lambda: [header("d", 0, b"5"), header("d", 0, b"5")], errors.DuplicateMemberError, "'d'"),
    ("file in a file", lambda: [header("d"), header("d/x")], errors.DuplicateMemberError, "'d'"),
    ("file over a folder", lambda: [header("d/x"), header("d")], errors.DuplicateMemberError, "'d'"),
    ("folders by case", lambda: [header("d/x"), header("D/y")], errors.DuplicateMemberError, "'D'"),
    ("trailing dot", lambda: [header("a"), header("a.")], errors.DuplicateMemberError, "'a.'"),
    ("backslash", lambda: [header("a\\b")], errors.UnsafeMemberError, "backslash"),
    ("drive", lambda: [header("C:x")], errors.UnsafeMemberError, "drive"),
    ("line feed", lambda: [header("a\nb")], errors.UnsafeMemberError, "control character"),
    ("Arabic letter mark", lambda: [header("a\u061cb")], errors.UnsafeMemberError, "control"),
    ("drive behind a dot", lambda: [header("././C:x")], errors.UnsafeMemberError, "drive"),
    ("AppleDouble", lambda: [header("n"), header("d/._n")], errors.UnsafeMemberError, r"'d/\._n' is named as macOS"),
    ("AppleDouble folder", lambda: [header("._d/.", 0, b"5")], errors.UnsafeMemberError, "named as macOS"),
    (
        "manifest and a variation selector",
        lambda: [header("sagemaker_edge_manifest\ufe0f")],
        errors.ForeignManifestError,
        "manifest",
    ),
    ("right to left", lambda: [extended("x\u202egpj\0".encode(), b"L"), header()], errors.UnsafeMemberError, "control"),
    ("not UTF-8", lambda: [patched(header("a"), 0, b"a\xff")], errors.UnsafeMemberError, "not UTF-8"),
    ("empty component", lambda: [header("a//b")], errors.UnsafeMemberError, "empty component"),
    ("no name", lambda: [patched(header("a"), 0, bytes(1))], errors.UnsafeMemberError, "empty name"),
    ("the folder as file", lambda: [header(".")], errors.UnsafeMemberError, "folder itself"),
    ("long component", lambda: [extended(b"c" * 256 + b"\0", b"L"), header()], errors.UnsafeMemberError, "255 bytes"),
    ("file as its folder", lambda: [header("a/.")], errors.UnsafeMemberError, "'a/.' names the folder itself"),
    (
        "own name of the manifest",
        lambda: [extended(record("path", "x")), header("./sagemaker_edge_manifest")],
        errors.ForeignManifestError,
        "the manifest's, to readers without extended headers",
    ),
    (
        "no own name",
        lambda: [extended(b"x\0", b"L"), patched(header(), 0, b"\0")],
        errors.UnsafeMemberError,
        "empty name",
    ),
    ("short name of the manifest", lambda: [header("SageMa~1")], errors.ForeignManifestError, "'SageMa~1'"),
    ("below its short name", lambda: [header("./sagema~2/a")], errors.ForeignManifestError, "'sagema~2/a'"),
]


@pytest.mark.parametrize(("blocks", "error", "says"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_it_is_refused_and_named(blocks: Callable[[], list[bytes]], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        scanned(*blocks(), END)
