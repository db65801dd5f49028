"""A streaming, strict tar reader: fed the inflated blocks, it hashes every file and everything between the files.

Nothing is ever extracted. Small members, of which an archive may hold a hundred thousand, take a short path through
`feed`.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import msgspec

from edgepack.package.errors import EmptyArchiveError, NotTarError, TarError, TrailingDataError, TruncatedError
from edgepack.package.limits import KIB, ArchiveLimits
from edgepack.package.tar_headers import BLOCK_SIZE, DIRECTORY, FILE, HEADER_SIZE_FIELD_MAX
from edgepack.package.tar_members import END_BLOCKS, Member, Members

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
        self._on_file = on_file
        self._contents = contents
        self._members = Members(limits)
        self._framing = sha256()
        self._gathered = bytearray()
        self._partial = b""
        self._extended_data = bytearray()
        self._file: tuple[str, int, _Hash] | None = None
        self._opening: bytearray | None = None
        self._body_left = 0
        self._padding_left = 0
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
            elif self._members.zero_blocks == END_BLOCKS:
                self._check_tail(block, position)
                return
            elif end - position < BLOCK_SIZE:
                self._partial = block[position:]
                return
            else:
                position = self._take_members(block, view, position)

    def finish(self) -> str:
        """Check that the stream ended where an archive ends.

        Returns:
            Hex SHA-256 over all bytes that are not content of files: headers, padding, end marker, in order.

        Raises:
            TruncatedError: It ended earlier.
            EmptyArchiveError: It holds no file.
        """
        members = self._members
        if not members.headers and not members.zero_blocks:
            raise NotTarError(f"The gzip file does not hold a tar archive: it holds {self.size} bytes, no header.")
        if members.zero_blocks != END_BLOCKS or self._partial:
            raise TruncatedError(f"The tar archive ends after {self.size} bytes without an end marker.")
        if self.size % BLOCK_SIZE:
            raise TruncatedError(f"The tar archive's size of {self.size} bytes is not a multiple of {BLOCK_SIZE}.")
        if not members.files:
            raise EmptyArchiveError("The archive holds no file.")
        self._framing.update(self._gathered)
        return self._framing.hexdigest()

    def _gather(self, data: bytes | memoryview) -> None:
        self._gathered += data
        if len(self._gathered) >= FRAMING_BUFFER:
            self._framing.update(self._gathered)
            self._gathered.clear()

    def _take_members(self, block: bytes, view: memoryview, position: int) -> int:
        """Read the header at `position`, and whole files, one behind the other, as long as the block holds them.

        Returns:
            Where something else begins: a body that the block does not hold, the archive's end, the block's end.
        """
        read, end, plain = self._members.read, len(block), self._contents is None
        framed = position
        while position + BLOCK_SIZE <= end:
            head = position + BLOCK_SIZE
            member = read(block[position:head])
            position = head
            if member is None or member[0] != FILE:
                break
            body_end = head + member[2]
            position = body_end + -member[2] % BLOCK_SIZE
            if position > end or not plain:
                position = head
                break
            self._on_file(FileEntry(member[1], sha256(view[head:body_end]).hexdigest(), member[2]))
            self._gather(view[framed:head])
            self._check_padding(block[body_end:position])
            framed = body_end
        else:
            member = None
        self._gather(view[framed:position])
        if member is not None:
            self._begin(member)
        return position

    def _begin(self, member: Member) -> None:
        """Begin a member whose content, if it has any, is taken as it comes."""
        kind, path, size = member
        self._body_left, self._padding_left = size, -size % BLOCK_SIZE
        contents = self._contents
        if kind == FILE:
            self._file = (path, size, sha256())
            self._opening = bytearray() if size > HEADER_SIZE_FIELD_MAX else None
            if contents is not None:
                contents.begin(path, size)
            if not size:
                self._end_body()
        elif kind == DIRECTORY and contents is not None:
            contents.directory(path)

    def _take_body(self, view: memoryview, position: int) -> int:
        part = view[position : position + self._body_left]
        self._body_left -= len(part)
        if self._file is not None:
            self._file[2].update(part)
            if self._opening is not None:
                self._take_opening(self._opening, part)
            if self._contents is not None:
                self._contents.write(part)
        else:
            self._gather(part)
            self._extended_data += part
        if not self._body_left:
            self._end_body()
        return position + len(part)

    def _take_opening(self, opening: bytearray, part: memoryview) -> None:
        opening += part[: BLOCK_SIZE - len(opening)]
        if len(opening) == BLOCK_SIZE:
            self._members.check_opening(bytes(opening))
            self._opening = None

    def _end_body(self) -> None:
        if self._file is None:
            data = bytes(self._extended_data)
            self._extended_data.clear()
            self._members.extend(data)
            return
        path, size, digest = self._file
        self._file = None
        self._on_file(FileEntry(path, digest.hexdigest(), size))
        if self._contents is not None:
            self._contents.end()

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
