"""`edgepack keys`: the public side of the signing keys."""

import click

from edgepack.cli.options import DATA, read_settings
from edgepack.cli.streams import FileAccessError, path_shown, regular_target
from edgepack.cli.terminal import telling

PUBLIC_FILE_MODE = 0o644


@click.group("keys")
def keys_group() -> None:
    """Show and export the public parts of the signing keys."""


@keys_group.command("export-trust")
@DATA
@click.option("--out", required=True, metavar="FILE.pem", help="The file to write.")
def export_trust_command(data: str | None, out: str) -> None:
    """Write the root certificate that devices, and `edgepack verify --trust`, need."""
    from edgepack.durable import write_file
    from edgepack.keys.signing import export_trust

    target = regular_target(out)
    certificate = export_trust(read_settings({"data": data}).data_folder)
    try:
        write_file(target, certificate, mode=PUBLIC_FILE_MODE)
    except OSError as error:
        raise FileAccessError(f"{path_shown(out)} cannot be written: {error.strerror}.") from error
    with telling():
        click.echo(f"wrote the root certificate to {path_shown(out)}")
