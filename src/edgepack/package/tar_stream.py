"""A streaming, strict tar reader: fed the inflated blocks, it hashes every file and everything between the files.

Nothing is ever extracted. Small members, of which an archive may hold a hundred thousand, take a short path through
`feed`.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import msgspec

from edgepack.package.errors import (
    ArchiveTooLargeError,
    EmptyArchiveError,
    NotTarError,
    TarError,
    TrailingDataError,
    TruncatedError,
    UnsupportedMemberError,
    shown,
)
from edgepack.package.extended_headers import Overrides, check_global_pax, read_long_name, read_pax
from edgepack.package.limits import EXTENDED_HEADER_SIZE_MAX, KIB, ArchiveLimits
from edgepack.package.names import Namespace, check_replaced
from edgepack.package.tar_headers import (
    BLOCK_SIZE,
    DIRECTORY,
    FILE,
    GNU_LONG_NAME,
    HEADER_SIZE_FIELD_MAX,
    PAX_GLOBAL,
    ZERO_BLOCK,
    Header,
    HeaderReader,
)

if TYPE_CHECKING:
    from hashlib import _Hash

FRAMING_BUFFER = 64 * KIB
"""Bytes of headers and padding gathered before they are hashed together."""


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A regular file of the archive.

    Attributes:
        path: Normalised path below the folder the archive is unpacked in.
        sha256: Hex digest of its content.
        size: Bytes.
    """

    path: str
    sha256: str
    size: int


def _agreed_size(name: bytes, in_header: int, in_extended_header: int) -> int:
    """A member's size, said twice. Readers without pax (busybox) go by the header, and would find other members."""
    if in_header != in_extended_header <= HEADER_SIZE_FIELD_MAX:
        raise UnsupportedMemberError(
            f"The member {shown(name)} has {in_header} bytes by one header and {in_extended_header} by another."
        )
    return in_extended_header


class Contents(Protocol):
    """Takes what the members hold, for whoever unpacks an archive. Every path is normalised and safe."""

    def directory(self, path: str) -> None:
        """A directory; empty for the folder that the archive is unpacked in."""

    def begin(self, path: str, size: int) -> None:
        """A regular file of so many bytes begins."""

    def write(self, data: memoryview) -> None:
        """The next bytes of the file."""

    def end(self) -> None:
        """The file has had its last byte."""


class TarReader:
    """Reads one tar stream.

    Args:
        limits: Bounds on members and names.
        on_file: Called with each file as soon as its last byte was seen.
        contents: Takes the members' contents as well, if anybody wants them.

    Attributes:
        size: Bytes fed so far.
    """

    def __init__(
        self, limits: ArchiveLimits, on_file: Callable[[FileEntry], None], contents: Contents | None = None
    ) -> None:
        self._limits = limits
        self._on_file = on_file
        self._contents = contents
        self._headers = HeaderReader()
        self._names = Namespace(limits.names_size)
        self._framing = sha256()
        self._gathered = bytearray()
        self._partial = b""
        self._overrides: Overrides | None = None
        self._extended: Header | None = None
        self._global = False
        self._extended_data = bytearray()
        self._file: tuple[str, int, _Hash] | None = None
        self._body_left = 0
        self._padding_left = 0
        self._headers_seen = 0
        self._members = 0
        self._files = 0
        self._zero_blocks = 0
        self.size = 0

    def feed(self, block: bytes) -> None:
        """Take the next inflated bytes.

        Raises:
            ArtifactError: The archive breaks a rule; the message names the member.
        """
        self.size += len(block)
        if self._partial:
            block, self._partial = self._partial + block, b""
        view, position, end = memoryview(block), 0, len(block)
        while position < end:
            if self._body_left:
                position = self._take_body(view, position)
            elif self._padding_left:
                position = self._take_padding(block, position)
            elif self._zero_blocks == 2:  # noqa: PLR2004 - two zero blocks end an archive
                self._check_tail(block, position)
                return
            elif end - position < BLOCK_SIZE:
                self._partial = block[position:]
                return
            else:
                position = self._take_member(block, view, position, end)

    def finish(self) -> str:
        """Check that the stream ended where an archive ends.

        Returns:
            Hex SHA-256 over all bytes that are not content of files: headers, padding, end marker, in order.

        Raises:
            TruncatedError: It ended earlier.
            EmptyArchiveError: It holds no file.
        """
        if not self._headers_seen and not self._zero_blocks:
            raise NotTarError(f"The gzip file does not hold a tar archive: it holds {self.size} bytes, no header.")
        if self._zero_blocks != 2 or self._partial:  # noqa: PLR2004 - two zero blocks end an archive
            raise TruncatedError(f"The tar archive ends after {self.size} bytes without an end marker.")
        if self.size % BLOCK_SIZE:
            raise TruncatedError(f"The tar archive's size of {self.size} bytes is not a multiple of {BLOCK_SIZE}.")
        if not self._files:
            raise EmptyArchiveError("The archive holds no file.")
        self._framing.update(self._gathered)
        return self._framing.hexdigest()

    def _gather(self, data: bytes | memoryview) -> None:
        self._gathered += data
        if len(self._gathered) >= FRAMING_BUFFER:
            self._framing.update(self._gathered)
            self._gathered.clear()

    def _take_member(self, block: bytes, view: memoryview, position: int, end: int) -> int:
        """Read the header at `position` and, where the block holds the whole member, its content and padding too."""
        head = block[position : position + BLOCK_SIZE]
        position += BLOCK_SIZE
        self._gather(head)
        if head == ZERO_BLOCK:
            self._take_zero_block()
            return position
        header = self._read_header(head)
        if header.kind != FILE:
            self._begin_other(header)
            return position
        name, size = self._named_and_sized(header)
        path = self._names.add_file(name)
        body_end = position + size
        next_header = body_end + -size % BLOCK_SIZE
        if self._contents is not None:
            self._contents.begin(path, size)
        if next_header <= end:
            self._files += 1
            self._on_file(FileEntry(path, sha256(view[position:body_end]).hexdigest(), size))
            if self._contents is not None:
                self._contents.write(view[position:body_end])
                self._contents.end()
            self._gather(view[body_end:next_header])
            self._check_padding(block[body_end:next_header])
            return next_header
        self._file, self._body_left, self._padding_left = (path, size, sha256()), size, -size % BLOCK_SIZE
        return position

    def _take_zero_block(self) -> None:
        if self._overrides is not None or self._global:
            raise TarError("The archive ends with an extended header that belongs to no member.")
        self._zero_blocks += 1

    def _read_header(self, head: bytes) -> Header:
        if self._zero_blocks:
            raise TrailingDataError("A member follows a zero block, where some readers stop and others go on.")
        try:
            header = self._headers.read(head)
        except UnsupportedMemberError:
            raise
        except TarError as error:
            if self._headers_seen == 0:
                raise NotTarError(f"The gzip file does not hold a tar archive ({error.message}).") from None
            raise
        if self._global and header.kind == PAX_GLOBAL:
            raise UnsupportedMemberError(f"The global extended header {shown(header.name)} follows another one.")
        self._global = header.kind == PAX_GLOBAL
        self._headers_seen += 1
        self._members += header.kind in {FILE, DIRECTORY}
        if self._members > self._limits.members:
            raise ArchiveTooLargeError(f"The archive has more than {self._limits.members} members.")
        return header

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
        return name, size

    def _begin_other(self, header: Header) -> None:
        if header.kind == DIRECTORY:
            name, size = self._named_and_sized(header)
            if size:
                raise UnsupportedMemberError(f"The directory {shown(name)} claims to have {size} bytes of content.")
            path = self._names.add_directory(name.removesuffix(b"/"))
            if self._contents is not None:
                self._contents.directory(path)
            return
        check_replaced(header.name)
        if self._overrides is not None:
            raise UnsupportedMemberError(f"The extended header {shown(header.name)} follows another one.")
        if not 0 < header.size <= EXTENDED_HEADER_SIZE_MAX:
            raise ArchiveTooLargeError(
                f"The extended header {shown(header.name)} has {header.size} bytes; "
                f"1 to {EXTENDED_HEADER_SIZE_MAX} are read."
            )
        self._extended, self._body_left, self._padding_left = header, header.size, -header.size % BLOCK_SIZE

    def _take_body(self, view: memoryview, position: int) -> int:
        part = view[position : position + self._body_left]
        self._body_left -= len(part)
        if self._file is not None:
            path, size, digest = self._file
            digest.update(part)
            if self._contents is not None:
                self._contents.write(part)
            if not self._body_left:
                self._end_file(FileEntry(path, digest.hexdigest(), size))
        else:
            self._gather(part)
            self._extended_data += part
            if not self._body_left:
                self._end_extended()
        return position + len(part)

    def _end_file(self, entry: FileEntry) -> None:
        self._file = None
        self._files += 1
        self._on_file(entry)
        if self._contents is not None:
            self._contents.end()

    def _end_extended(self) -> None:
        header, data = self._extended, bytes(self._extended_data)
        assert header is not None
        self._extended = None
        self._extended_data.clear()
        if header.kind == PAX_GLOBAL:
            check_global_pax(data, header.name)
        elif header.kind == GNU_LONG_NAME:
            self._overrides = read_long_name(data, header.name)
        else:
            self._overrides = read_pax(data, header.name)

    def _take_padding(self, block: bytes, position: int) -> int:
        part = block[position : position + self._padding_left]
        self._padding_left -= len(part)
        self._gather(part)
        self._check_padding(part)
        return position + len(part)

    def _check_padding(self, part: bytes) -> None:
        if part.strip(b"\0"):
            raise TarError("The padding behind a member's content is not zero: something is hidden there.")

    def _check_tail(self, block: bytes, position: int) -> None:
        tail = block[position:] if position else block
        if tail.strip(b"\0"):
            raise TrailingDataError("Data follows the end marker of the tar archive, where most readers do not look.")
        self._framing.update(self._gathered)
        self._gathered.clear()
        self._framing.update(tail)
