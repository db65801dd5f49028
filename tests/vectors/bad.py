"""Packages that every verifier must refuse, though the root certificate that signed them is trusted."""

import datetime as dt
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from msgspec.structs import replace

from edgepack.package import bundle, gzip_format
from edgepack.package.assembly import frame_package, package_trailer
from edgepack.package.canonical import canonical_json
from edgepack.package.entry import manifest_entry, prefix_pieces
from edgepack.package.manifest import Manifest
from edgepack.package.scan import ArchiveScan, FileEntry, scan_archive
from edgepack.package.signature import P256_ORDER, Signer
from models import tar_gz
from package.conftest import IDENTITY, NOW
from package.making import NO_AUTHORITY, SIGNS, Forgery, Holder, authority, forged, framed, holder, package_of, usage
from package.splicing import spliced
from package.tar_blocks import END, content, extended, header, patched, record
from package.test_chains import showing
from package.test_forgeries import MANIFESTS, STATEMENTS, covering
from vectors.good import PLAIN, PLAIN_TAR


@dataclass(frozen=True)
class Bad:
    """A package to refuse.

    Attributes:
        name: Of the vector.
        step: Of docs/package-format.md, "Verifying".
        says: What edgepack's message contains.
        package: The package.
    """

    name: str
    step: int
    says: str
    package: bytes


def bad_packages(root: Holder, signer: Signer) -> Iterator[Bad]:
    """All of them."""
    yield from _damaged(signer)
    yield from _assembled(signer)
    yield from _spelt(signer)
    yield from _certified(root)
    yield from _stated(signer)
    yield from _signed_though_hostile(signer)


def _damaged(signer: Signer) -> Iterator[Bad]:
    """By accident, mostly."""
    frame, deflate = framed(PLAIN, signer)
    package = frame.prefix + deflate + frame.trailer
    yield Bad("empty", 1, "ends", b"")
    yield Bad("cut-in-the-prefix", 1, "ends", package[:1000])
    yield Bad("cut-behind-the-prefix", 8, "ends", frame.prefix)
    yield Bad("cut-in-the-model", 8, "ends", package[: len(frame.prefix) + 20])
    yield Bad("cut-in-the-trailer", 10, "ends", package[:-1])
    yield Bad("a-byte-more", 10, "follows", package + b"\0")
    yield Bad("a-gzip-member-more", 10, "follows", package + gzip.compress(b"", mtime=0))
    yield Bad("another-checksum", 10, "trailer", package[:-8] + b"\0\0\0\0" + package[-4:])
    yield Bad("another-size", 10, "trailer", package[:-4] + b"\0\0\0\0")
    yield Bad("the-model-artifact-itself", 1, "", PLAIN)


def _assembled(signer: Signer) -> Iterator[Bad]:
    """With checksums that are right: the signed head before another model."""
    frame, _ = framed(PLAIN, signer)
    others = {
        "another-content": {"a.txt": b"HELLO", "b.bin": bytes(range(200))},
        "a-file-less": {"a.txt": b"hello"},
        "a-file-more": {"a.txt": b"hello", "b.bin": bytes(range(200)), "c": b""},
        "another-order": {"b.bin": bytes(range(200)), "a.txt": b"hello"},
        "another-name": {"a.txt": b"hello", "c.bin": bytes(range(200))},
    }
    for name, files in others.items():
        yield Bad(name, 8, "not", _with_model(frame.prefix, tar_gz(files)))
    modes = patched(PLAIN_TAR[:512], 100, b"0000755") + PLAIN_TAR[512:]
    yield Bad("another-mode", 8, "headers", _with_model(frame.prefix, gzip.compress(modes, mtime=0)))
    again = gzip.compress(PLAIN_TAR, 1, mtime=0)
    yield Bad("the-same-model-compressed-otherwise", 8, "compressed bytes", _with_model(frame.prefix, again))


def _with_model(prefix: bytes, archive: bytes) -> bytes:
    entry = _entry_of(prefix)
    scan, deflate = spliced(archive)
    return prefix + deflate + package_trailer(entry, scan.crc32, scan.tar_size)


def _entry_of(prefix: bytes) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(prefix[10:])


def _spelt(signer: Signer) -> Iterator[Bad]:
    """The same things in another form."""
    frame, deflate = framed(PLAIN, signer)
    entry = _entry_of(frame.prefix)
    rest = deflate + frame.trailer
    blocks = frame.prefix[10:]
    named = frame.prefix[:3] + b"\x08" + frame.prefix[4:10] + b"package.tar\0" + blocks
    yield Bad("a-name-in-the-gzip-header", 1, "", named + rest)
    yield Bad("a-time-in-the-gzip-header", 1, "", frame.prefix[:4] + b"\1" + frame.prefix[5:] + rest)
    halves = b"".join((*gzip_format.stored_blocks(entry[:700]), *gzip_format.stored_blocks(entry[700:])))
    yield Bad("stored-blocks-cut-otherwise", 1, "", frame.prefix[:10] + halves + rest)
    yield Bad("filling-where-none-belongs", 8, "compressed bytes", frame.prefix + gzip_format.EMPTY_BLOCK + rest)
    spaced = frame.manifest_json.replace(b'"files":', b'"files": ')
    yield Bad("white-space-in-the-manifest", 2, "canonical", _with_manifest(spaced, deflate))
    newer = frame.manifest_json.replace(b'"schema_version":"1.0"', b'"schema_version":"1.1"')
    yield Bad("a-newer-manifest", 2, "version", _with_manifest(newer, deflate))
    more = frame.manifest_json.replace(b'"schema_version"', b'"more":"x","schema_version"')
    yield Bad("a-member-more-in-the-manifest", 2, "schema", _with_manifest(more, deflate))
    yield Bad("the-other-one-of-two-signatures", 6, "canonical", forged(PLAIN, signer, Forgery(manifest=_high_s)))


def _with_manifest(manifest: bytes, deflate: bytes) -> bytes:
    entry, scan = manifest_entry(msgspec.Raw(manifest), int(NOW.timestamp())), scan_archive([PLAIN])
    return b"".join((*prefix_pieces(entry), deflate, package_trailer(entry, scan.crc32, scan.tar_size)))


def _high_s(manifest: Manifest) -> Manifest:
    """(r, n - s) verifies as well as (r, s)."""
    signed = msgspec.json.decode(manifest.signature, type=bundle.Bundle)
    signature = signed.dsseEnvelope.signatures[0]
    r, s = decode_dss_signature(signature.sig)
    other = encode_dss_signature(r, P256_ORDER - s)
    envelope = replace(signed.dsseEnvelope, signatures=(replace(signature, sig=other),))
    return replace(manifest, signature=msgspec.Raw(canonical_json(replace(signed, dsseEnvelope=envelope))))


def _certified(root: Holder) -> Iterator[Bad]:
    """By certificates of the trusted root that are not for this, or not at that time."""
    year = dt.timedelta(days=365)
    signer = root.issue("vectors signer", *SIGNS).signer(root)
    yield Bad("signed-before-its-certificate", 5, "valid", package_of(PLAIN, signer, signed_at=NOW - year))
    yield Bad("signed-after-its-certificate", 4, "future", package_of(PLAIN, signer, signed_at=NOW + year))
    profiles: dict[str, tuple[Any, ...]] = {
        "no-code-signing": (NO_AUTHORITY, usage(signs=True)),
        "no-digital-signature": (NO_AUTHORITY, usage(), SIGNS[2]),
        "an-authority-signs": (*SIGNS[2:], usage(signs=True, certifies=True), authority()[0]),
    }
    for name, extensions in profiles.items():
        signer = root.issue(name, *extensions).signer(root)
        yield Bad(f"certificate-with-{name}", 5, "", package_of(PLAIN, signer))
    signing, stranger = root.issue("vectors signer", *SIGNS), holder("another root", *authority())
    behind = showing(signing, root.certificate, stranger.certificate)
    yield Bad("a-stranger-s-certificate-behind-the-root", 5, "broken", package_of(PLAIN, behind))
    upper = root.issue("vectors upper authority", *authority(0))
    lower = upper.issue("vectors lower authority", *authority(0))
    too_long = lower.issue("vectors deepest signer", *SIGNS).signer(lower, upper, root)
    yield Bad("a-chain-longer-than-its-path-length", 5, "may not issue", package_of(PLAIN, too_long))


def _stated(signer: Signer) -> Iterator[Bad]:
    """By a signer who signs what is not so, and by someone who alters a manifest afterwards."""
    steps = {"root digest": 3, "SHA-256": 3, "files are not those": 7, "about another model": 7, "metadata": 7}
    steps |= {"not the one that was signed": 7, "version": 2, "type": 2, "signing time": 2, "canonical": 1}
    archive = tar_gz({"a": b"first", "b": b"second"})
    for name, change, says in STATEMENTS:
        step = next(step for words, step in steps.items() if words in says)
        yield Bad(f"stated-{_slug(name)}", step, says, forged(archive, signer, Forgery(statement=change)))
    for name, alter, says in MANIFESTS:
        package = forged(archive, signer, Forgery(manifest=alter))
        yield Bad(f"altered-{_slug(name)}", 7, says, package)
    facts: dict[str, Any] = {"deflate_crc32": 1, "tar_crc32": 1, "framing_sha256": "0" * 64}
    for member, value in facts.items():
        package = forged(archive, signer, Forgery(statement=covering(**{member: value})))
        yield Bad(f"stated-another-{_slug(member)}", 8, "not", package)


def _slug(text: str) -> str:
    return text.replace(" ", "-").replace("_", "-")


def _signed_though_hostile(signer: Signer) -> Iterator[Bad]:
    """Archives that must never be unpacked, by a signer who did not look: only step 8 can tell."""
    tars = {
        "a-symbolic-link": header("a", kind=b"2", linkname="/etc/passwd") + header("b"),
        "a-hard-link": header("b") + header("a", kind=b"1", linkname="b"),
        "a-device": header("b") + header("a", kind=b"3"),
        "a-path-that-leads-out": header("../b"),
        "an-absolute-path": header("/b"),
        "a-second-manifest": header("sagemaker_edge_manifest"),
        "a-file-twice": header("b") + header("b"),
        "two-names-of-one-file": header("b") + header("B"),
        "something-in-the-padding": header("b", 1) + b"x" + bytes(510) + b"y",
        "a-file-behind-the-end": header("b") + END + header("c"),
    }
    for name, members in tars.items():
        yield Bad(f"holds-{name}", 8, "", _signed(members + END, signer))
    yield Bad("holds-no-end", 8, "", _signed(header("b", 3) + content(b"abc"), signer))
    short, charset = "SAGEMA~1", extended(record("SCHILY.xattr.9 hdrcharset", "BINARY"))
    uncomposed = _signed(extended(record("path", "a\u0308")) + header("b") + END, signer, "a\u0308")
    yield Bad("holds-a-pax-path-that-is-not-composed", 8, "composed", uncomposed)
    yield Bad("holds-a-character-set-in-a-keyword", 8, "character set", _signed(charset + header("b") + END, signer))
    yield Bad("holds-the-manifest-s-short-name", 8, short, _signed(header(short) + END, signer, short))
    named = {
        "a-file-of-macos-attributes": ("macOS", "._b"),
        "names-that-differ-in-nothing-visible": ("one file", "b", "b\u034f"),
        "the-manifest-s-name-and-a-variation-selector": ("already", "sagemaker_edge_manifest\ufe0f"),
        "an-arabic-letter-mark": ("control character", "b\u061c"),
    }
    for name, (says, *paths) in named.items():
        members = b"".join(map(header, paths))
        yield Bad(f"holds-{name}", 8, says, _signed(members + END, signer, *paths))
    yield Bad("holds-a-drive-behind-a-dot", 8, "drive", _signed(header("./C:b") + END, signer, "C:b"))
    old, mode = patched(header("b"), 257, bytes(8)), patched(header("b"), 100, b"\x80" + b"\xff" * 7)
    yield Bad("holds-a-header-without-a-magic", 8, "v7", _signed(old + END, signer))
    yield Bad("holds-a-mode-of-56-bits", 8, "mode", _signed(mode + END, signer))
    joined = _signed(header("e\u200d\u0301") + header("\u00e9") + END, signer, "\u00e9")
    yield Bad("holds-a-joiner-where-another-name-is-composed", 8, "one file", joined)


def _signed(tar: bytes, signer: Signer, *paths: str) -> bytes:
    """A package that says the truth about a tar that cannot be scanned, of one empty file `b` or of others."""
    archive = gzip.compress(tar, mtime=0)
    deflate = archive[10:-8]
    scan = ArchiveScan(
        files=tuple(FileEntry(path, hashlib.sha256(b"").hexdigest(), 0) for path in paths or ("b",)),
        deflate_start=10,
        deflate_end=len(archive) - 8,
        deflate_crc32=zlib.crc32(deflate),
        crc32=zlib.crc32(tar),
        tar_size=len(tar),
        framing_sha256=hashlib.sha256(tar).hexdigest(),
    )
    frame = frame_package(scan, identity=IDENTITY, signer=signer, signed_at=NOW)
    return frame.prefix + deflate + frame.trailer
