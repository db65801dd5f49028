"""Heads and certificates read without trust: what anyone may have written, taken apart and not believed."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from edgepack.errors import ArtifactError
from edgepack.keys.signing import FileSigner
from edgepack.package import errors
from edgepack.package.claims import certificate_claims
from edgepack.package.head import UnverifiedHead, read_unverified_head, verify_head
from edgepack.package.source import Source
from edgepack.package.trust import TrustRoots
from models import tar_gz
from package.conftest import IDENTITY, NOW
from package.making import SIGNS, authority, framed, holder

ARCHIVE = tar_gz({"a": b"first"})


def head_of(package: bytes) -> UnverifiedHead:
    return read_unverified_head(Source([package]))


def test_a_head_by_anybody_is_read_and_no_more(trust: TrustRoots) -> None:
    stranger = FileSigner(ec.generate_private_key(ec.SECP256R1()))
    frame, deflate = framed(ARCHIVE, stranger)
    source = Source([frame.prefix, deflate, frame.trailer])
    head = read_unverified_head(source)
    assert source.position == len(frame.prefix)
    assert head.package_size == len(frame.prefix) + len(deflate) + len(frame.trailer)
    assert (head.manifest.identity(), head.signed_at) == (IDENTITY, NOW)
    with pytest.raises(errors.UntrustedSignerError):
        verify_head(frame.prefix, trust=trust, now=NOW)


def test_a_head_that_is_cut_short_is_none(signer: FileSigner) -> None:
    frame, _ = framed(ARCHIVE, signer)
    for size in range(len(frame.prefix)):
        with pytest.raises(errors.TruncatedError):
            head_of(frame.prefix[:size])


def test_what_certificates_say() -> None:
    root = holder("the root", *authority())
    leaf = root.issue("the signer", *SIGNS)
    frame, _ = framed(ARCHIVE, leaf.signer(root))
    found = certificate_claims(head_of(frame.prefix).bundle)
    assert [(each.subject, each.issuer) for each in found] == [("CN=the signer", "CN=the root"), ("CN=the root",) * 2]
    assert found[0].sha256 == leaf.certificate.fingerprint(hashes.SHA256()).hex()
    assert int(found[0].serial, 16) == leaf.certificate.serial_number
    assert found[0].not_before == leaf.certificate.not_valid_before_utc
    assert found[0].not_after == leaf.certificate.not_valid_after_utc


def test_a_bare_key_has_none() -> None:
    frame, _ = framed(ARCHIVE, FileSigner(ec.generate_private_key(ec.SECP256R1())))
    assert certificate_claims(head_of(frame.prefix).bundle) == ()


def test_a_damaged_certificate_is_an_error_of_the_package(signer: FileSigner) -> None:
    """Parsers of certificates fail in many ways; each must come out as a refusal, and none as something else."""
    frame, _ = framed(ARCHIVE, signer)
    bundle = head_of(frame.prefix).bundle
    refused = 0
    for position in range(len(bundle.certificates[0])):
        for flipped in (0x01, 0x10, 0xFF):
            damaged = bytearray(bundle.certificates[0])
            damaged[position] ^= flipped
            try:
                certificate_claims(replace(bundle, certificates=(bytes(damaged),)))
            except ArtifactError:
                refused += 1
    assert refused
