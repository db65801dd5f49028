"""The published test vectors: every one has its verdict, now and in every later version."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from package.splicing import chunked
from package.test_specification import PAGE, claims
from vectors.make_vectors import Keys, trusted, vectors

FOLDER = Path(__file__).parents[1] / "vectors"
VECTORS: list[dict[str, Any]] = json.loads((FOLDER / "vectors.json").read_text())


SAYS_NOW = {"altered-a-text-more": "does not follow its schema", "altered-no-name": "lacks the model's name"}
"""What edgepack says today of vectors of which it said something else when they were published; the verdict stands."""


def package_of(vector: dict[str, Any]) -> bytes:
    return (FOLDER / "packages" / f"{vector['name']}.tar.gz").read_bytes()


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
@pytest.mark.parametrize("chunk", [1 << 20, 977])
def test_the_verdict_is_the_published_one(vector: dict[str, Any], chunk: int) -> None:
    trust = TrustRoots.from_pem((FOLDER / vector["trust"]).read_bytes())
    now = dt.datetime.fromisoformat(vector["now"])
    verdict = verify_package(chunked(package_of(vector), chunk), trust=trust, now=now)
    assert verdict.ok is vector["verified"], verdict.problems
    if not verdict.ok:
        assert SAYS_NOW.get(vector["name"], vector["says"]) in " ".join(
            verdict.problems + tuple(str(file.problem) for file in verdict.files)
        )
        assert (verdict.identity is None) is (vector["step"] < 8)


def test_every_package_is_listed_once() -> None:
    listed = sorted(f"{vector['name']}.tar.gz" for vector in VECTORS)
    assert listed == sorted(path.name for path in (FOLDER / "packages").iterdir())
    assert "tests/vectors" in PAGE


def test_vectors_made_anew_have_the_published_verdicts() -> None:
    """Whoever adds one runs the same program; nothing of it may have decayed."""
    published = {vector["name"]: vector for vector in VECTORS}
    made = list(vectors(keys := Keys.new()))
    trust = {name: TrustRoots.from_pem(pem) for name, pem in trusted(keys).items()}
    for vector, package in made:
        verdict = verify_package([package], trust=trust[vector.trust], now=dt.datetime.fromisoformat(vector.now))
        assert verdict.ok is vector.verified is published[vector.name]["verified"], vector.name
        assert vector.step == published[vector.name]["step"]
        assert verdict.ok or (verdict.identity is None) is (vector.step < 8)
    assert {vector.name for vector, _ in made} == set(published)


PLAIN_TAR = ("plain", "one-empty-file", "a-compiled-model", "stored-blocks", "compressed-anew", "more-zero-blocks")


@pytest.mark.parametrize("name", PLAIN_TAR)
def test_a_verifier_written_from_the_page_agrees(name: str) -> None:
    root = x509.load_pem_x509_certificate((FOLDER / "root.pem").read_bytes())
    (vector,) = (each for each in VECTORS if each["name"] == name)
    for what, found, expected in claims(package_of(vector), root):
        assert found == expected, what
