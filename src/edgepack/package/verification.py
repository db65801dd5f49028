"""Is a package what its signer signed, every byte of it? One streaming pass, bounded memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from edgepack.errors import ArtifactError
from edgepack.package.errors import NotPackagedError
from edgepack.package.head import VerifiedHead, read_head
from edgepack.package.limits import DEFAULT_LIMITS, MIB, ArchiveLimits
from edgepack.package.manifest import ModelIdentity
from edgepack.package.scan import ArchiveScan, FileEntry, Observer, scan_tail
from edgepack.package.source import Chunk, Source
from edgepack.package.trust import SignerIdentity, TrustRoots

PIECE_SIZE = 1 * MIB
"""Bytes handed on at once."""


class FileVerdict(msgspec.Struct, frozen=True, gc=False):
    """What is to be said of one file.

    Attributes:
        path: Its path.
        size: Bytes, as signed; as found for a file that was not signed.
        sha256: Hex digest, likewise.
        problem: What is wrong with it, or None.
    """

    path: str
    size: int
    sha256: str
    problem: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the file is what was signed."""
        return self.problem is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be said of a package.

    Attributes:
        files: One verdict per file, in the manifest's order, files that were not signed last.
        problems: What is wrong with the package as a whole; empty if nothing is.
        identity: Which model it holds; None if the signature does not hold, for then nothing in it can be believed.
        signer: Who signed, likewise.
        signed_at: When, likewise.
    """

    files: tuple[FileVerdict, ...] = ()
    problems: tuple[str, ...] = ()
    identity: ModelIdentity | None = None
    signer: SignerIdentity | None = None
    signed_at: datetime | None = None

    @property
    def ok(self) -> bool:
        """Whether the signer is trusted and every byte is covered and right."""
        return self.identity is not None and not self.problems and all(file.ok for file in self.files)


def verify_package(
    chunks: Iterable[Chunk],
    *,
    trust: TrustRoots,
    now: datetime,
    limits: ArchiveLimits = DEFAULT_LIMITS,
    observe: Observer | None = None,
) -> Verdict:
    """Verify a package.

    Args:
        chunks: The package's bytes in order; iterated once, partly on another thread.
        trust: Who may have signed; there is no default.
        now: The verifier's clock, aware.
        limits: Bounds against decompression bombs.
        observe: Told the progress behind the head; what it raises ends the verification and comes out of it.

    Returns:
        The verdict. Whatever is wrong with the package is in it and not raised.

    Raises:
        BaseException: What `chunks` or `observe` raised.
    """
    source = Source(chunks)
    try:
        head = read_head(source, trust=trust, now=now)
    except ArtifactError as error:
        return Verdict(problems=(_told(error),))
    found: list[FileEntry] = []
    problems: tuple[str, ...]
    try:
        scan = scan_tail(_rest(source), seed=head.seed, files=found, limits=limits, observe=observe)
        problems = tuple(_differences(scan, head))
    except ArtifactError as error:
        problems = (error.message,)
    return Verdict(
        files=tuple(_file_verdicts(head, found)),
        problems=problems,
        identity=head.identity,
        signer=head.signer,
        signed_at=head.signed_at,
    )


def _told(error: ArtifactError) -> str:
    """What is wrong, and for another file what to do; the others' advice is the verdict itself: do not use it."""
    return error.diagnostics() if isinstance(error, NotPackagedError) else error.message


def _rest(source: Source) -> Iterator[memoryview]:
    while not source.at_end():
        yield source.piece(PIECE_SIZE)


def _differences(scan: ArchiveScan, head: VerifiedHead) -> Iterator[str]:
    """What was signed of the package as a whole, and is otherwise."""
    signed = head.coverage
    if (scan.deflate_size, scan.deflate_crc32) != (signed.deflate_size, signed.deflate_crc32):
        yield "The compressed bytes are not those that were signed."
    if (scan.tar_size, scan.crc32) != (signed.tar_size, signed.tar_crc32):
        yield "The archive is not the one that was signed."
    if scan.framing_sha256 != signed.framing_sha256:
        yield "The archive's headers are not those that were signed."
    if scan.files != head.manifest.files:
        yield "The archive's files are not those that were signed, in their order."


def _file_verdicts(head: VerifiedHead, found: list[FileEntry]) -> Iterator[FileVerdict]:
    by_path = {file.path: file for file in found}
    for signed in head.manifest.files:
        there = by_path.pop(signed.path, None)
        problem = None if there == signed else _problem(signed, there)
        yield FileVerdict(signed.path, signed.size, signed.sha256, problem)
    for stranger in by_path.values():
        yield FileVerdict(stranger.path, stranger.size, stranger.sha256, "it is not signed")


def _problem(signed: FileEntry, there: FileEntry | None) -> str:
    if there is None:
        return "it is missing, or the package is damaged before it"
    if there.size != signed.size:
        return f"it has {there.size} bytes instead of {signed.size}"
    return "its content is not what was signed"
