"""Who signs what `edgepack package` writes: a key file's key, or the data folder's keys, made when missing."""

import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.cli.options import read_settings
from edgepack.cli.terminal import note, printable

if TYPE_CHECKING:
    from edgepack.keys.signing import FileSigner
    from edgepack.package.trust import SignerIdentity


def signer_for(key: str | None, data: str | None, now: datetime) -> "FileSigner":
    """The signer that the options name.

    Args:
        key: The key file; None for the data folder's keys.
        data: The data folder; None for the one in the settings.
        now: Aware time of signing, and from which new keys' certificates are valid.

    Raises:
        click.BadParameter: The key file does not serve, or its certificates do not: a usage error.
        SigningKeyError: The data folder's keys do not serve, or a package that they sign now would be refused.
        StateError: The data folder cannot be written.
    """
    from edgepack.keys.signing import SigningKeyError, ensure_signing_keys, signer_from_key_file

    if key is None:
        signer = ensure_signing_keys(read_settings({"data": data}).data_folder, now=now, made=_tell_of_new_keys)
        _check(signer, now)
        return signer
    try:
        signer = signer_from_key_file(Path(key))
        _check(signer, now)
    except SigningKeyError as error:
        raise click.BadParameter(error.diagnostics(), param_hint="--key") from None
    return signer


def _check(signer: "FileSigner", at: datetime) -> None:
    """Refuse to make a package that no verifier would take, as from certificates of the wrong kind."""
    from cryptography.x509 import load_der_x509_certificate

    from edgepack.keys.signing import CERTIFICATE_ADVICE, SigningKeyError
    from edgepack.package.errors import SignatureError
    from edgepack.package.trust import TrustRoots

    if not (chain := signer.certificate_chain):
        return
    try:
        roots = TrustRoots((load_der_x509_certificate(chain[-1]),))
        roots.check_signer(chain, hint=None, signed_at=at, now=at)
    except SignatureError as error:  # whose advice is for those who verify
        raise SigningKeyError(error.message, advice=CERTIFICATE_ADVICE) from None


def identity_of(signer: "FileSigner") -> "SignerIdentity":
    """Who verifiers will say has signed."""
    from cryptography.x509 import load_der_x509_certificate

    from edgepack.package.signature import key_hint
    from edgepack.package.trust import SignerIdentity

    if not signer.certificate_chain:
        return SignerIdentity.of_key(key_hint(signer.public_key))
    return SignerIdentity.of_certificate(load_der_x509_certificate(signer.certificate_chain[0]))


def _tell_of_new_keys(data: Path) -> None:
    command = f"edgepack keys export-trust --data {shlex.quote(str(data))} --out root.pem"
    note(f"made new signing keys in {printable(str(data))}; devices need their root: `{printable(command)}`")
