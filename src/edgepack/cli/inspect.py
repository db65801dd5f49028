"""`edgepack inspect`: what a package says of itself, whoever made it. Nothing is verified, and no trust is needed."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from io import FileIO
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.leaving import unwind_on_signals
from edgepack.cli.streams import FileAccessError, chunks_of, name_of, opened, path_shown, size_of
from edgepack.cli.terminal import NotToldError, files_table, printable, table_of, telling

if TYPE_CHECKING:
    from edgepack.package.claims import CertificateClaims
    from edgepack.package.head import UnverifiedHead

ADVICE = "Fetch it again, or make one with `edgepack package`."
"""What to do about a file that is no package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a package says of itself. Anyone can write that.

    Attributes:
        package: The file's name, as the user gave it.
        size: Its bytes; None for a pipe.
        head: The package's head.
        certificates: What the certificates of its signature say; empty for a bare key.
    """

    package: str
    size: int | None
    head: "UnverifiedHead"
    certificates: "tuple[CertificateClaims, ...]"


@click.command("inspect")
@click.argument("package", metavar="PKG.tar.gz")
@click.option("--json", "as_json", is_flag=True, help="Print the whole manifest and the certificates as JSON.")
def inspect_command(package: str, *, as_json: bool) -> None:
    """Show what a package, or standard input for `-`, says of itself. Nothing of it is verified.

    Reads the manifest at the package's start, and asks for no trust. Anyone can write a manifest: `edgepack verify`
    tells whether this one is true.

    Exits 0 if there is a manifest; 1 if it is no package; 2 for a usage error; 3 if it could not be read or shown.
    """
    unwind_on_signals()
    with opened(package) as file:
        claims = _read(package, file)
    with telling():
        if as_json:
            click.echo(json.dumps(_as_json(claims), indent=2))
        else:
            _print(claims)


def _read(package: str, file: FileIO) -> Claims:
    from edgepack.errors import ArtifactError
    from edgepack.package.claims import certificate_claims
    from edgepack.package.errors import ManifestError
    from edgepack.package.head import read_unverified_head
    from edgepack.package.source import Source

    size = size_of(file)
    try:
        head = read_unverified_head(Source(chunks_of(file)))
        head.manifest.identity()
        certificates = certificate_claims(head.bundle)
    except ArtifactError as error:
        reason = printable(error.message)
        raise ManifestError(f"{name_of(file)} is no package that edgepack reads: {reason}", advice=ADVICE) from None
    except FileAccessError as error:
        raise NotToldError(error.message, advice=error.advice) from error
    return Claims(package=package, size=size, head=head, certificates=certificates)


def _as_json(claims: Claims) -> dict[str, Any]:
    from edgepack.package.canonical import canonical_json

    head = claims.head
    return {
        "package": claims.package,
        "verified": False,
        "size": claims.size,
        "claimed_size": head.package_size,
        "signed_at": head.signed_at.isoformat(),
        "certificates": [
            {**asdict(each), "not_before": each.not_before.isoformat(), "not_after": each.not_after.isoformat()}
            for each in claims.certificates
        ],
        "key_hint": head.bundle.hint,
        "manifest": json.loads(canonical_json(head.manifest)),
    }


def _print(claims: Claims) -> None:
    manifest = claims.head.manifest
    if table_of(len(manifest.files)):
        _print_tables(claims)
    else:
        sys.stdout.writelines(f"{name}: {printable(value)}\n" for name, value in _facts(claims))
        sys.stdout.writelines(
            f"file: {printable(file.sha256)}  {file.size}  {printable(file.path)}\n" for file in manifest.files
        )
    click.echo(
        f"{path_shown(claims.package)}: NOTHING IS VERIFIED. "
        "This is what the package says of itself; `edgepack verify` checks it."
    )


def _print_tables(claims: Claims) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    about = Table("what it says of itself", "not verified")
    about.columns[1].overflow = "fold"
    for name, value in _facts(claims):
        about.add_row(name, Text(printable(value)))
    listing = files_table()
    for file in claims.head.manifest.files:
        listing.add_row(Text(printable(file.path)), str(file.size), Text(printable(file.sha256)))
    Console().print(about, listing)


def _facts(claims: Claims) -> Iterator[tuple[str, str]]:
    """Each fact by its name, which programs may go by; what the package does not say is left out."""
    yield from _model(claims.head)
    yield "signed at", _time(claims.head.signed_at)
    yield "size by its manifest", f"{claims.head.package_size} bytes"
    if claims.size is not None:
        yield "size", f"{claims.size} bytes"
    yield from _difference(claims)
    yield from _signer(claims)
    yield "files", str(len(claims.head.manifest.files))


def _difference(claims: Claims) -> Iterator[tuple[str, str]]:
    if claims.size is not None and (missing := claims.head.package_size - claims.size):
        what = f"it ends {missing} bytes too early" if missing > 0 else f"{-missing} bytes follow its end"
        yield "the sizes differ", f"{what}, by its manifest"


def _model(head: "UnverifiedHead") -> Iterator[tuple[str, str]]:
    identity = head.manifest.identity()
    yield "model name", identity.model_name
    yield "model version", identity.model_version
    if platform := identity.target_platform:
        yield "target platform", " ".join(filter(None, (platform.os, platform.arch, platform.accelerator)))
    if identity.target_device is not None:
        yield "target device", identity.target_device
    if identity.compilation_job_name is not None:
        yield "compilation job", identity.compilation_job_name


def _signer(claims: Claims) -> Iterator[tuple[str, str]]:
    if claims.head.bundle.hint is not None:
        yield "signing key SHA-256", claims.head.bundle.hint
    for number, certificate in enumerate(claims.certificates, start=1):
        yield f"certificate {number} subject", certificate.subject
        yield f"certificate {number} issuer", certificate.issuer
        yield f"certificate {number} valid", f"{_time(certificate.not_before)} to {_time(certificate.not_after)}"
        yield f"certificate {number} serial", certificate.serial
        yield f"certificate {number} SHA-256", certificate.sha256


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
