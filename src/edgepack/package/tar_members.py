"""What the headers of a tar stream say, one after the other: the members, with what extended headers say of them."""

from typing import NamedTuple

from edgepack.package.errors import (
    ArchiveTooLargeError,
    NotTarError,
    TarError,
    TrailingDataError,
    UnsupportedMemberError,
    shown,
)
from edgepack.package.extended_headers import Overrides, check_global_pax, check_opening, read_long_name, read_pax
from edgepack.package.limits import EXTENDED_HEADER_SIZE_MAX, ArchiveLimits
from edgepack.package.names import Namespace, check_replaced
from edgepack.package.tar_headers import (
    DIRECTORY,
    FILE,
    GNU_LONG_NAME,
    HEADER_SIZE_FIELD_MAX,
    PAX_GLOBAL,
    ZERO_BLOCK,
    Header,
    HeaderReader,
)

END_BLOCKS = 2
"""Zero blocks that end an archive."""


class Member(NamedTuple):
    """What one header block begins.

    Attributes:
        kind: `FILE`, `DIRECTORY`, or of an extended header, whose content goes to `Members.extend`.
        path: Normalised path; empty for an extended header.
        size: Bytes of content that follow.
    """

    kind: bytes
    path: str
    size: int


class Members:
    """Reads the headers of one tar stream.

    Args:
        limits: Bounds on members and names.

    Attributes:
        files: Regular files so far.
        headers: Header blocks so far, zero blocks aside.
        zero_blocks: Zero blocks so far; at `END_BLOCKS` the archive has ended.
    """

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._header_reader = HeaderReader()
        self._names = Namespace(limits.names_size)
        self._overrides: Overrides | None = None
        self._extended: Header | None = None
        self._after_global = False
        self._unsized: bytes | None = None
        self._directories = 0
        self.files = 0
        self.headers = 0
        self.zero_blocks = 0

    def read(self, block: bytes) -> Member | None:
        """Take the next header block.

        Returns:
            What it begins; None for a zero block.

        Raises:
            ArtifactError: It breaks a rule; the message names the member.
        """
        if block == ZERO_BLOCK:
            self._take_zero_block()
            return None
        header = self._read_header(block)
        if header.kind == FILE:
            name, size = self._named_and_sized(header)
            self.files += 1
            self._check_count()
            return Member(FILE, self._names.add_file(name), size)
        if header.kind == DIRECTORY:
            return self._directory(header)
        return self._begin_extended(header)

    def extend(self, data: bytes) -> None:
        """Take the content of the extended header that the last block began.

        Raises:
            ArtifactError: It breaks a rule.
        """
        header = self._extended
        assert header is not None
        self._extended = None
        if header.kind == PAX_GLOBAL:
            check_global_pax(data, header.name)
        elif header.kind == GNU_LONG_NAME:
            self._overrides = read_long_name(data, header.name)
        else:
            self._overrides = read_pax(data, header.name)

    def check_opening(self, block: bytes) -> None:
        """Take the first block of a file of more bytes than `HEADER_SIZE_FIELD_MAX`.

        Raises:
            UnsupportedMemberError: Readers by whom it is no file's content take it for a header, or for the end.
        """
        if self._unsized is not None:
            check_opening(block, self._unsized)

    def _take_zero_block(self) -> None:
        if self._overrides is not None or self._after_global:
            raise TarError("The archive ends with an extended header that belongs to no member.")
        self.zero_blocks += 1

    def _read_header(self, block: bytes) -> Header:
        if self.zero_blocks:
            raise TrailingDataError("A member follows a zero block, where some readers stop and others go on.")
        try:
            header = self._header_reader.read(block)
        except UnsupportedMemberError:
            raise
        except TarError as error:
            if self.headers == 0:
                raise NotTarError(
                    f"The gzip file does not hold a tar archive ({error.message.removesuffix('.')})."
                ) from None
            raise
        is_global = header.kind == PAX_GLOBAL
        if self._after_global and is_global:
            raise UnsupportedMemberError(f"The global extended header {shown(header.name)} follows another one.")
        self._after_global = is_global
        self.headers += 1
        return header

    def _check_count(self) -> None:
        if self.files + self._directories > self._limits.members:
            raise ArchiveTooLargeError(f"The archive has more than {self._limits.members} members.")

    def _named_and_sized(self, header: Header) -> tuple[bytes, int]:
        name, size = header.name, header.size
        if (overrides := self._overrides) is not None:
            self._overrides = None
            check_replaced(name)
            name = name if overrides.name is None else overrides.name
            size = size if overrides.size is None else _agreed_size(name, size, overrides.size)
        if b"\0" in name:
            raise TarError(f"The member {shown(name)} has a NUL in its name.")
        if size > self._limits.tar_size:
            raise ArchiveTooLargeError(f"The member {shown(name)} claims {size} bytes.")
        if size > HEADER_SIZE_FIELD_MAX:
            self._unsized = name if size != header.size else None
        return name, size

    def _directory(self, header: Header) -> Member:
        name, size = self._named_and_sized(header)
        if size:
            raise UnsupportedMemberError(f"The directory {shown(name)} claims to have {size} bytes of content.")
        self._directories += 1
        self._check_count()
        return Member(DIRECTORY, self._names.add_directory(name.removesuffix(b"/")), 0)

    def _begin_extended(self, header: Header) -> Member:
        check_replaced(header.name)
        if self._overrides is not None:
            raise UnsupportedMemberError(f"The extended header {shown(header.name)} follows another one.")
        if not 0 < header.size <= EXTENDED_HEADER_SIZE_MAX:
            raise ArchiveTooLargeError(
                f"The extended header {shown(header.name)} has {header.size} bytes; "
                f"1 to {EXTENDED_HEADER_SIZE_MAX} are read."
            )
        self._extended = header
        return Member(header.kind, "", header.size)


def _agreed_size(name: bytes, in_header: int, in_extended_header: int) -> int:
    """A member's size, said twice. Readers without pax (busybox) go by the header, and would find other members."""
    if in_header != in_extended_header and (in_header or in_extended_header <= HEADER_SIZE_FIELD_MAX):
        raise UnsupportedMemberError(
            f"The member {shown(name)} has {in_header} bytes by one header and {in_extended_header} by another."
        )
    return in_extended_header
