"""`edgepack keys`: the public side of the signing keys."""

from pathlib import Path

import click

from edgepack.cli.options import DATA, read_settings

PUBLIC_FILE_MODE = 0o644


@click.group("keys")
def keys_group() -> None:
    """Show and export the public parts of the signing keys."""


@keys_group.command("export-trust")
@DATA
@click.option("--out", required=True, metavar="FILE.pem", type=click.Path(path_type=Path, dir_okay=False))
def export_trust_command(data: str | None, out: Path) -> None:
    """Write the root certificate that devices, and `edgepack verify --trust`, need."""
    from edgepack.durable import write_file
    from edgepack.errors import StateError
    from edgepack.keys.signing import export_trust

    certificate = export_trust(read_settings({"data": data}).data_folder)
    try:
        write_file(out.absolute(), certificate, mode=PUBLIC_FILE_MODE)
    except OSError as error:
        raise StateError(f"Cannot write {out}: {error.strerror}.") from error
    click.echo(f"wrote the root certificate to {out}")
