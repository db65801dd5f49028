"""`edgepack verify`: is this package what its signer signed, every byte of it? Offline."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.leaving import unwind_on_signals
from edgepack.cli.streams import FileAccessError, chunks_of, files, opened, path_shown, size_of
from edgepack.cli.terminal import (
    NotToldError,
    files_table,
    noting,
    printable,
    reporting,
    signer_shown,
    table_of,
    telling,
)

if TYPE_CHECKING:
    from edgepack.package.trust import TrustRoots
    from edgepack.package.verification import Verdict

NOT_VERIFIED = 1
"""Exit code for a package that must not be used."""


@click.command("verify")
@click.argument("package", metavar="PKG.tar.gz")
@click.option("--trust", required=True, metavar="FILE.pem", help="Root certificates or public keys to trust, PEM.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def verify_command(package: str, *, trust: str, as_json: bool) -> int:
    """Verify a package, or standard input for `-`, and print each file's verdict.

    Exits 0 only if the signer is trusted and every byte is covered by the signature and right; 1 if not; 2 for a usage
    error; 3 if the package could not be read to its end or the verdict could not be printed.
    """
    from edgepack.cli.memory import keep_small

    unwind_on_signals()
    keep_small()
    verdict = _verdict(package, _trust(trust))
    with telling():
        if as_json:
            click.echo(json.dumps(_as_json(package, verdict), indent=2))
        else:
            _print(package, verdict)
    return 0 if verdict.ok else NOT_VERIFIED


def _verdict(package: str, roots: "TrustRoots") -> "Verdict":
    from edgepack.package.verification import verify_package

    try:
        with opened(package) as file, reporting("Verifying", size_of(file)) as report:
            return verify_package(chunks_of(file), trust=roots, now=datetime.now(UTC), observe=report)
    except FileAccessError as error:  # a failing disk says nothing of the package
        raise NotToldError(error.message, advice=error.advice) from error


def _trust(path: str) -> "TrustRoots":
    from edgepack.errors import EdgepackError
    from edgepack.package.trust import TrustRoots

    try:
        return TrustRoots.from_pem(Path(path).read_bytes())
    except OSError as error:
        raise click.BadParameter(f"{path_shown(path)}: {error.strerror}.", param_hint="--trust") from None
    except EdgepackError as error:
        raise click.BadParameter(f"{path_shown(path)}: {error.diagnostics()}", param_hint="--trust") from None


def _as_json(package: str, verdict: "Verdict") -> dict[str, Any]:
    identity = verdict.identity
    return {
        "package": package,
        "ok": verdict.ok,
        "model_name": identity.model_name if identity else None,
        "model_version": identity.model_version if identity else None,
        "signer": asdict(verdict.signer) if verdict.signer else None,
        "signed_at": verdict.signed_at.isoformat() if verdict.signed_at else None,
        "files": [
            {"path": file.path, "size": file.size, "sha256": file.sha256, "ok": file.ok, "problem": file.problem}
            for file in verdict.files
        ],
        "problems": list(verdict.problems),
    }


def _print(package: str, verdict: "Verdict") -> None:
    if table_of(len(verdict.files)):
        _print_table(verdict)
    else:
        sys.stdout.writelines(
            f"ok  {file.sha256}  {printable(file.path)}\n"
            if file.problem is None
            else f"WRONG  {file.sha256}  {printable(file.path)} ({printable(file.problem)})\n"
            for file in verdict.files
        )
    with noting():
        for problem in verdict.problems:
            click.echo(f"problem: {printable(problem)}", err=True)
    click.echo(_summary(package, verdict))


def _print_table(verdict: "Verdict") -> None:
    from rich.console import Console
    from rich.text import Text

    table = files_table("verdict")
    for file in verdict.files:
        problem = file.problem
        word = Text("ok", "green") if problem is None else Text(f"WRONG ({printable(problem)})", "bold red")
        table.add_row(Text(printable(file.path)), str(file.size), Text(file.sha256), word)
    Console().print(table)


def _summary(package: str, verdict: "Verdict") -> str:
    if not verdict.ok:
        return f"{path_shown(package)}: NOT VERIFIED. Do not use it."
    identity, signer, signed_at = verdict.identity, verdict.signer, verdict.signed_at
    assert identity is not None
    assert signer is not None
    assert signed_at is not None
    return (
        f"{path_shown(package)}: verified. {printable(identity.model_name)} {printable(identity.model_version)}, "
        f"{files(len(verdict.files))}, signed {signed_at:%Y-%m-%d %H:%M:%S} UTC by {signer_shown(signer)}"
    )
