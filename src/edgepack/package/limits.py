"""Bounds on what an archive may be, so that a hostile one costs little. Each has its unit and its reason."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

TAR_SIZE_MAX = 5 * TIB
"""Bytes of the inflated tar stream: the largest object S3 holds, so nothing that can be stored unpacked is refused."""

RATIO_MAX = 200
"""Inflated bytes per compressed byte. Deflate cannot exceed 1032; weights reach 1.1, sparse ones and text 3 to 20."""

RATIO_FREE_SIZE = 1 * GIB
"""Inflated bytes below which the ratio is not looked at: they take a second or so, and zeros are legitimate."""

MEMBERS_MAX = 200_000
"""Tar members; saved models have at most some thousands. Each takes 0.8 kB of memory while it is packaged, 1 kB while
it is verified, and 0.3 kB of manifest: measured on 200,000 with names of 40 bytes, which take 200 and 220 MB in all."""

NAMES_SIZE_MAX = 32 * MIB
"""Sum of all names' UTF-8 bytes: bounds the manifest where many members have long names."""

NAME_SIZE_MAX = 4095
"""UTF-8 bytes of one name: Linux's PATH_MAX less its NUL."""

COMPONENT_SIZE_MAX = 255
"""UTF-8 bytes between two slashes: NAME_MAX of ext4, xfs, btrfs and (in UTF-16 units) NTFS and APFS."""

EXTENDED_HEADER_SIZE_MAX = 1 * MIB
"""Bytes of one pax or GNU long-name record, which is held in memory: a few hundred are usual."""

GZIP_MEMBERS_MAX = 1_000_000
"""gzip members in one file: block gzip (64 kB members) of 60 GB has as many; empty ones would cost time for nothing."""

GZIP_HEADER_SIZE_MAX = 128 * KIB
"""Bytes of one gzip header: its extra field alone may have 64 KiB, and as many are left for a name and a comment."""

MANIFEST_SIZE_MAX = 256 * MIB
"""Bytes of the manifest that a verifier takes into memory: above what `MEMBERS_MAX` and `NAMES_SIZE_MAX` can make."""

CERTIFICATES_MAX = 8
"""Certificates of a chain that are read at all; edgepack's own have two."""

CHAIN_SIZE_MAX = 1 * MIB
"""Bytes of a bundle's certificates, as JSON: before trust is asked, nothing shall be made of millions of empty ones. A
certificate has some kilobytes, with post-quantum signatures tens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """The bounds that one scan keeps; the defaults are right for every use but tests.

    Attributes:
        tar_size: Inflated bytes at most.
        ratio: Inflated bytes per compressed byte at most, once `ratio_free_size` inflated bytes have passed.
        ratio_free_size: Inflated bytes below which `ratio` is not applied.
        members: Tar members at most, directories included.
        names_size: Sum of the names' UTF-8 bytes at most.
        gzip_members: gzip members at most.
    """

    tar_size: int = TAR_SIZE_MAX
    ratio: int = RATIO_MAX
    ratio_free_size: int = RATIO_FREE_SIZE
    members: int = MEMBERS_MAX
    names_size: int = NAMES_SIZE_MAX
    gzip_members: int = GZIP_MEMBERS_MAX


DEFAULT_LIMITS = ArchiveLimits()
"""The bounds of the specification."""
