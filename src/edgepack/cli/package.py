"""`edgepack package`: what the service does to a compiled model, on this machine and with no server."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from os import SEEK_CUR
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from edgepack.cli.leaving import unwind_on_signals
from edgepack.cli.options import DATA
from edgepack.cli.signers import identity_of, signer_for
from edgepack.cli.streams import (
    COPY_SIZE,
    PIPE,
    WriteBack,
    chunks_of,
    files,
    opened,
    package_target,
    path_shown,
    replacing,
    scratch,
    size_of,
    standard_output,
    write_all,
)
from edgepack.cli.terminal import Report, note, reporting, signer_shown, telling

if TYPE_CHECKING:
    from edgepack.cli.one_pass import OnePassFile
    from edgepack.keys.signing import FileSigner
    from edgepack.package.assembly import PackageFrame
    from edgepack.package.manifest import ModelIdentity
    from edgepack.package.scan import ArchiveScan

CHANGED_ADVICE = "Package it again, and let nothing write to it meanwhile."


@click.command("package")
@click.argument("source", metavar="SRC.tar.gz")
@click.option("--name", required=True, metavar="N", help="The model's name.")
@click.option("--version", required=True, metavar="V", help="The model's version.")
@click.option("--out", required=True, metavar="PKG.tar.gz", help="The package to write; - for standard output.")
@click.option("--key", metavar="FILE", help="PEM file to sign with: a P-256 key and, optionally, its certificates.")
@DATA
@click.option("--json", "as_json", is_flag=True, help="Print what was packaged as JSON.")
def package_command(  # noqa: PLR0913 - one argument for each option
    source: str, *, name: str, version: str, out: str, key: str | None, data: str | None, as_json: bool
) -> None:
    """Package and sign a compiled model: SRC.tar.gz, or standard input for `-`.

    Signs with the key in --key, or else with the signing keys of the data folder, which are made when there are none;
    `edgepack keys export-trust` writes the certificate that verifies such packages. With a bare key in --key, its
    public key verifies them.

    Exits 0 if the package was written; 1 if not; 2 for a usage error; 3 if it was written and that could not be told.
    """
    from edgepack.cli.memory import keep_small

    if as_json and out == PIPE:
        raise click.UsageError("--json and --out - both take standard output.")
    unwind_on_signals()
    keep_small()
    target = package_target(out, source)
    identity, now = _identity(name, version), datetime.now(UTC)
    with opened(source) as file:
        signer = signer_for(key, data, now)
        scan, frame = package_file(file, target, identity=identity, signer=signer, signed_at=now)
    if target is None:
        note(f"wrote {_summary('standard output', scan, frame, signer)}")
        return
    with telling():
        click.echo(_json(out, scan, frame) if as_json else f"wrote {_summary(path_shown(out), scan, frame, signer)}")


def package_file(
    source: FileIO, target: Path | None, *, identity: "ModelIdentity", signer: "FileSigner", signed_at: datetime
) -> "tuple[ArchiveScan, PackageFrame]":
    """Read a model artifact, sign it, and write the package.

    Args:
        source: The artifact. What cannot be read twice is kept in an unnamed file meanwhile.
        target: Where the package goes; None for standard output.
        identity: Which model it is.
        signer: Signs it.
        signed_at: Aware time of signing.

    Returns:
        What was packaged, and what was put around it.

    Raises:
        ArtifactError: The artifact is not acceptable. No package was left.
        StateError: A file could not be read or written. No package was left.
    """
    sign = _Signing(identity, signer, signed_at)
    with ExitStack() as stack:
        output = stack.enter_context(replacing(target) if target else standard_output())
        if target is not None and (done := _in_one_pass(source, output, sign, stack)) is not None:
            return done
        body, scan = _scanned(source, target.parent if target else None, stack)
        frame = sign.frame(scan)
        with reporting("Writing", scan.deflate_size) as report:
            _write(output, frame, body, scan, report)
    return scan, frame


@dataclass(frozen=True, slots=True)
class _Signing:
    identity: "ModelIdentity"
    signer: "FileSigner"
    signed_at: datetime

    def frame(self, scan: "ArchiveScan") -> "PackageFrame":
        from edgepack.package.assembly import frame_package

        return frame_package(scan, identity=self.identity, signer=self.signer, signed_at=self.signed_at)


def _in_one_pass(
    source: FileIO, output: BinaryIO | FileIO, sign: _Signing, stack: ExitStack
) -> "tuple[ArchiveScan, PackageFrame] | None":
    """Write the package while the source is scanned; None if that cannot be, and then nothing is written."""
    from edgepack.cli.one_pass import OnePassFile, takes_one_pass
    from edgepack.package.scan import scan_archive

    size = size_of(source)
    if size is None or not takes_one_pass(output.fileno(), size):
        return None
    start = source.tell()
    file = stack.enter_context(closing(OnePassFile(output.fileno(), size)))
    with reporting("Packaging", size) as report:
        scan = scan_archive(_teed(chunks_of(source), file), observe=report)
    if not scan.spliceable:
        file.abandon()
        source.seek(start)
        return None
    frame = sign.frame(scan)
    file.finish(frame)
    return scan, frame


def _teed(chunks: Iterator[bytes], file: "OnePassFile") -> Iterator[bytes]:
    """The chunks; what follows the gzip header goes into the file as well."""
    from edgepack.errors import ArtifactError
    from edgepack.package.gzip_format import read_header
    from edgepack.package.source import Source

    first = next(chunks, b"")
    try:
        body_start = read_header(Source([first]).read)
    except ArtifactError:  # of which the scan will tell
        body_start = len(first)
    file.take(memoryview(first)[body_start:])
    yield first
    for chunk in chunks:
        file.take(memoryview(chunk))
        yield chunk


def _scanned(source: FileIO, folder: Path | None, stack: ExitStack) -> "tuple[FileIO, ArchiveScan]":
    """Scan the source; also the file with the scanned stream, at its start: source, copy or repacked."""
    from edgepack.package.scan import scan_archive

    total = size_of(source)
    chunks, body = chunks_of(source), source
    if total is None:
        body = stack.enter_context(scratch(folder))
        chunks = _copied(chunks, body)
    start = body.tell()
    with reporting("Reading", total) as report:
        scan = scan_archive(chunks, observe=report)
    body.seek(start)
    if scan.spliceable:
        return body, scan
    from edgepack.package.repack import repack

    note(f"recompressing, because {scan.not_spliceable_because}")
    repacked = stack.enter_context(scratch(folder))
    with reporting("Recompressing", total) as report:
        scan = repack(chunks_of(body), observe=report, emit=lambda piece: write_all(repacked, piece))
    repacked.seek(0)
    return repacked, scan


def _copied(chunks: Iterator[bytes], copy: FileIO) -> Iterator[bytes]:
    for chunk in chunks:
        write_all(copy, chunk)
        yield chunk


def _write(output: BinaryIO | FileIO, frame: "PackageFrame", body: FileIO, scan: "ArchiveScan", report: Report) -> None:
    """Write the package; the deflate stream is read a second time, and must still be what was scanned."""
    from isal import isal_zlib

    from edgepack.package.errors import SourceChangedError

    for piece in frame.prefix_pieces():
        write_all(output, piece)
    body.seek(scan.deflate_start, SEEK_CUR)
    crc32 = copied = 0
    write_back = WriteBack(output)
    for chunk in chunks_of(body, size=scan.deflate_size, chunk_size=COPY_SIZE):
        crc32 = isal_zlib.crc32(chunk, crc32)
        write_all(output, chunk)
        copied += len(chunk)
        write_back.reached(copied)
        report(copied)
    if (copied, crc32) != (scan.deflate_size, scan.deflate_crc32):
        raise SourceChangedError("The model artifact changed while it was being packaged.", advice=CHANGED_ADVICE)
    write_all(output, frame.trailer)


def _identity(name: str, version: str) -> "ModelIdentity":
    from edgepack.package.errors import IdentityError
    from edgepack.package.manifest import ModelIdentity

    identity = ModelIdentity(model_name=name, model_version=version)
    try:
        identity.metadata()
    except IdentityError as error:
        raise click.UsageError(error.message) from None
    return identity


def _summary(where: str, scan: "ArchiveScan", frame: "PackageFrame", signer: "FileSigner") -> str:
    by = signer_shown(identity_of(signer))
    return f"{where}: {files(len(scan.files))}, {_size(scan, frame)} bytes, signed by {by}"


def _json(out: str, scan: "ArchiveScan", frame: "PackageFrame") -> str:
    manifest = json.loads(frame.manifest_json)
    return json.dumps({"package": out, "size": _size(scan, frame), "manifest": manifest}, indent=2)


def _size(scan: "ArchiveScan", frame: "PackageFrame") -> int:
    return frame.prefix_size + scan.deflate_size + len(frame.trailer)
