"""`edgepack keys`: a server's keys before there is a server, and their public side."""

from datetime import UTC, datetime
from hashlib import sha256

import click

from edgepack.cli.options import DATA, read_settings
from edgepack.cli.streams import FileAccessError, path_shown, regular_target
from edgepack.cli.terminal import telling

PUBLIC_FILE_MODE = 0o644


@click.group("keys")
def keys_group() -> None:
    """Make the keys of a data folder, and export their public part."""


@keys_group.command("create")
@DATA
def create_command(data: str | None) -> None:
    """Make the signing keys, their root and the sealing key where there are none yet; what is there stays.

    `edgepack serve` does the same. Several servers and workers on one database need the same folder `keys`: make it
    once with this command, and copy it.
    """
    from edgepack.keys.folder import KEYS_FOLDER
    from edgepack.keys.sealing import SecretBox
    from edgepack.keys.signing import ensure_signing_keys

    folder = read_settings({"data": data}).data_folder
    keys = folder / KEYS_FOLDER
    before = set(keys.glob("*"))
    SecretBox.open(folder)
    signer = ensure_signing_keys(folder, now=datetime.now(UTC))
    made = sorted(path.name for path in set(keys.glob("*")) - before)
    with telling():
        click.echo(f"made {', '.join(made)} in {path_shown(keys)}" if made else f"{path_shown(keys)} is complete")
        click.echo(f"root certificate: SHA-256 {sha256(signer.certificate_chain[-1]).hexdigest()}")


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
