"""What can be wrong with a model artifact or a package. Each message names the member or the place."""

from edgepack.errors import ArtifactError

SHOWN_NAME_MAX = 200
"""Characters of a hostile name that a message repeats."""


_BYTES = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}
"""What Python writes for bytes that are not UTF-8, and the character that `ascii` shows as that byte."""


def shown(name: str | bytes) -> str:
    """A member's name as it may stand in a message: quoted, escaped, shortened.

    Args:
        name: The name as found in the archive; nothing is assumed about it.

    Returns:
        Printable ASCII of at most `SHOWN_NAME_MAX` characters plus an ellipsis.
    """
    text = name.decode("utf-8", "surrogateescape").translate(_BYTES) if isinstance(name, bytes) else name
    escaped = ascii(text)
    return escaped if len(escaped) <= SHOWN_NAME_MAX else f"{escaped[:SHOWN_NAME_MAX]}…"


class GzipError(ArtifactError):
    """The gzip framing or the deflate stream is damaged."""

    code = "DamagedGzip"
    advice = "Make the archive again, for example with `tar czf`, and check it with `gzip -t`."


class NotGzipError(GzipError):
    """The bytes do not start as a gzip file does."""

    code = "NotGzip"
    advice = "The model artifact must be a gzip-compressed tar archive (`tar czf model.tar.gz …`)."


class ChecksumError(GzipError):
    """The inflated bytes are not those that the gzip trailer describes."""

    code = "ChecksumMismatch"


class TruncatedError(ArtifactError):
    """The archive ends before its end."""

    code = "TruncatedArchive"
    advice = "The upload was probably cut short: upload the archive again."


class TrailingDataError(ArtifactError):
    """Something follows the end of the archive, where readers disagree whether to look."""

    code = "TrailingData"
    advice = "Make the archive again; nothing may follow its end."


class TarError(ArtifactError):
    """The tar structure breaks the format's rules."""

    code = "DamagedTar"
    advice = "Make the archive again with a current tar."


class NotTarError(TarError):
    """The inflated bytes are not a tar archive."""

    code = "NotTar"
    advice = "The model artifact must be a gzip-compressed tar archive, not a single compressed file."


class UnsupportedMemberError(TarError):
    """The member is neither a regular file nor a directory, or uses an extension that readers see differently."""

    code = "UnsupportedMember"
    advice = "Pack regular files and directories only (`tar --dereference` replaces links by what they point to)."


class UnsafeMemberError(TarError):
    """The member's name leads out of the folder, or means different files on different systems."""

    code = "UnsafeMember"
    advice = "Pack with relative names, from inside the model's folder (`tar czf model.tar.gz -C folder .`)."


class DuplicateMemberError(TarError):
    """Two members would be one file on some system."""

    code = "DuplicateMember"
    advice = "Pack every file once, under names that differ in more than case or Unicode form."


class ForeignManifestError(TarError):
    """The archive already holds a member with the manifest's name: it was packaged before, or pretends to be."""

    code = "ForeignManifest"
    advice = "Package the compiled model itself, not an already packaged one."


class EmptyArchiveError(ArtifactError):
    """The archive holds no file."""

    code = "EmptyArchive"
    advice = "Pack the compiled model's files."


class ArchiveTooLargeError(ArtifactError):
    """The archive exceeds a bound that protects against decompression bombs."""

    code = "ArchiveTooLarge"
    advice = "docs/package-format.md lists the bounds."


class SourceChangedError(ArtifactError):
    """The bytes read a second time are not those of the first time."""

    code = "SourceChanged"
    advice = "Do not replace the model artifact while it is being packaged; start the job again."


class IdentityError(ArtifactError):
    """The model's name, version or platform cannot stand in a manifest."""

    code = "InvalidIdentity"


class VerificationError(ArtifactError):
    """The package is not what its signer signed, or is not in the one form that the specification allows."""

    code = "PackageNotVerified"
    advice = "Do not load this package; fetch it again from where it was published."


class ManifestError(VerificationError):
    """The package's head is not a canonical manifest."""

    code = "InvalidManifest"


class NotPackagedError(ManifestError):
    """It is another file: not gzip, or a gzip file without a manifest in front."""

    code = "NotPackaged"
    advice = "Give a file that `edgepack package` or an edge packaging job has written."


class SignatureError(VerificationError):
    """The signature bundle is malformed, contradicts the manifest, or its signature is wrong."""

    code = "InvalidSignature"


class UntrustedSignerError(SignatureError):
    """The signature may be right, but the signer is not one that was declared trusted."""

    code = "UntrustedSigner"
    advice = "Verify against the root certificate of the edgepack that made the package (`edgepack keys export-trust`)."


class TrustError(ArtifactError):
    """What was given as trusted is no certificate and no key. Whoever verifies gives another file."""

    code = "InvalidTrust"
    advice = "Give a PEM file with edgepack's root certificate (`edgepack keys export-trust`) or with a public key."


class SigningError(ArtifactError):
    """The signer returned something that its own public key does not verify. Nothing was published."""

    code = "SigningFailed"
    advice = "The key and the certificate of the signer do not belong together."
