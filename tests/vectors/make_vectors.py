"""Makes the test vectors: packages, good and bad, each with the verdict that every verifier must come to.

    PYTHONPATH=tests .venv/bin/python tests/vectors/make_vectors.py FOLDER

Run it into an empty folder to add vectors, and copy the new ones: those that were published stay as they are, since a
signature once published is verified for ever. Keys are made anew each time and thrown away, so that new vectors come
with what they trust, under another name: `root-2.pem` was the second time's root, and so on.
"""

import datetime as dt
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from edgepack.keys.signing import FileSigner
from edgepack.package.signature import Signer
from package.conftest import NOW
from package.making import DAY, SIGNS, Holder, authority, holder, package_of
from package.test_chains import again, showing
from vectors.bad import Bad, bad_packages
from vectors.good import PLAIN, good_packages

YEARS = dt.timedelta(days=365)


@dataclass(frozen=True)
class Vector:
    """One line of vectors.json.

    Attributes:
        name: The package is `packages/NAME.tar.gz`.
        trust: File with what the verifier trusts.
        now: The verifier's clock.
        verified: The verdict.
        step: The step of docs/package-format.md, "Verifying", that refuses it; 0 for none.
        says: What edgepack's message contains; other verifiers have other words.
    """

    name: str
    trust: str
    now: str
    verified: bool
    step: int = 0
    says: str = ""


@dataclass(frozen=True)
class Keys:
    """Everybody who signs.

    Attributes:
        root: The trusted root.
        stranger: A root that nobody trusts.
        expired: The root's certificate before it was renewed.
        between: An authority under the root.
        signer: Signs under the root.
        deep: Signs under the authority.
        bare: Signs without a certificate.
    """

    root: Holder
    stranger: Holder
    expired: Holder
    between: Holder
    signer: FileSigner
    deep: FileSigner
    bare: FileSigner

    @classmethod
    def new(cls) -> "Keys":
        """New ones."""
        root, stranger = holder("vectors root", *authority()), holder("another root", *authority())
        between = root.issue("vectors authority", *authority(0))
        return cls(
            root=root,
            stranger=stranger,
            expired=again(root, root, until=NOW - DAY / 2),
            between=between,
            signer=root.issue("vectors signer", *SIGNS).signer(root),
            deep=between.issue("vectors deep signer", *SIGNS).signer(between, root),
            bare=FileSigner(ec.generate_private_key(ec.SECP256R1()), []),
        )


def trusted(keys: Keys) -> dict[str, bytes]:
    """The files with what is trusted."""
    return {
        "root.pem": keys.root.certificate.public_bytes(Encoding.PEM),
        "other-root.pem": keys.stranger.certificate.public_bytes(Encoding.PEM),
        "two-roots.pem": b"".join(each.certificate.public_bytes(Encoding.PEM) for each in (keys.stranger, keys.root)),
        "renewed-root.pem": b"".join(each.certificate.public_bytes(Encoding.PEM) for each in (keys.expired, keys.root)),
        "authority.pem": keys.between.certificate.public_bytes(Encoding.PEM),
        "bare-key.pem": _public(keys.bare),
        "signer-key.pem": _public(keys.signer),
    }


def _public(signer: Signer) -> bytes:
    return load_der_public_key(signer.public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def vectors(keys: Keys) -> Iterator[tuple[Vector, bytes]]:
    """All of them."""
    now, later = NOW.isoformat(), (NOW + 100 * YEARS).isoformat()
    for name, package in good_packages(keys.signer):
        yield Vector(name, "root.pem", now, verified=True), package
    plain, deep, bare = (package_of(PLAIN, signer) for signer in (keys.signer, keys.deep, keys.bare))
    yield Vector("signed-under-an-authority", "root.pem", now, verified=True), deep
    yield Vector("the-authority-is-trusted", "authority.pem", now, verified=True), deep
    yield Vector("signed-by-a-bare-key", "bare-key.pem", now, verified=True), bare
    yield Vector("the-signer-s-key-is-trusted", "signer-key.pem", now, verified=True), plain
    yield Vector("the-certificates-have-expired-since", "root.pem", later, verified=True), plain
    yield Vector("one-of-two-roots-is-trusted", "two-roots.pem", now, verified=True), plain
    rootless = package_of(PLAIN, showing(keys.root.issue("vectors signer", *SIGNS)))
    yield Vector("the-root-is-not-in-the-chain", "root.pem", now, verified=True), rootless
    yield Vector("a-root-and-its-renewal-are-trusted", "renewed-root.pem", now, verified=True), rootless
    yield Vector("signed-under-two-authorities", "root.pem", now, verified=True), _deepest(keys.root)
    yield Vector("another-root-is-trusted", "other-root.pem", now, verified=False, step=5, says="trust"), plain
    yield Vector("a-chain-where-a-key-is-trusted", "bare-key.pem", now, verified=False, step=5, says="trust"), plain
    yield Vector("a-bare-key-where-a-root-is-trusted", "root.pem", now, verified=False, step=5, says="trust"), bare
    for bad in bad_packages(keys.root, keys.signer):
        yield _refused(bad, now), bad.package


def _deepest(root: Holder) -> bytes:
    """Under two authorities, whose path lengths just allow it."""
    upper = root.issue("vectors upper authority", *authority(1))
    lower = upper.issue("vectors lower authority", *authority(0))
    return package_of(PLAIN, lower.issue("vectors deepest signer", *SIGNS).signer(lower, upper, root))


def _refused(bad: Bad, now: str) -> Vector:
    return Vector(bad.name, "root.pem", now, verified=False, step=bad.step, says=bad.says)


def main() -> None:
    """Write them."""
    folder, keys = Path(sys.argv[1]), Keys.new()
    (folder / "packages").mkdir(parents=True)
    for name, pem in trusted(keys).items():
        (folder / name).write_bytes(pem)
    made = list(vectors(keys))
    assert len({vector.name for vector, _ in made}) == len(made)
    for vector, package in made:
        (folder / "packages" / f"{vector.name}.tar.gz").write_bytes(package)
    lines = ",\n".join(json.dumps(asdict(vector)) for vector, _ in made)
    (folder / "vectors.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
