"""Pagination tokens: opaque, sealed, and good for the one query they were made for."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from edgepack.errors import EdgepackError, ValidationError
from edgepack.keys.sealing import SecretBox

DEFAULT_PAGE_SIZE = 100
"""Rows of a page when MaxResults is absent: the most that it may ask for."""


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: the sort column's value and the row id of its last row."""

    value: str | int
    row_id: int


def next_token(secrets: SecretBox, position: Position, *, query: Sequence[Any]) -> str:
    """The token for the page after `position`.

    Args:
        secrets: Seals the token, so that it can neither be read nor made up.
        position: The last row of this page.
        query: Everything that defines the list but the page: account, operation, sort and filters. The token is bound
            to it, since a position means nothing in another order.
    """
    sealed = secrets.seal(msgspec.json.encode(position), context=_context(query))
    return base64.urlsafe_b64encode(sealed).decode()


def read_token(secrets: SecretBox, token: str, *, query: Sequence[Any]) -> Position:
    """The position in a token.

    Raises:
        ValidationError: The token was not made by this server for this query.
    """
    try:
        return msgspec.json.decode(secrets.unseal(_unspelt(token), context=_context(query)), type=Position)
    except (binascii.Error, UnicodeEncodeError, EdgepackError, msgspec.DecodeError) as error:
        raise ValidationError(
            "Invalid pagination token: it was not returned by this operation with these filters and this sort order.",
            advice="Repeat the call with the NextToken exactly as it was returned, and the other members unchanged.",
        ) from error


def _unspelt(token: str) -> bytes:
    sealed = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    if base64.urlsafe_b64encode(sealed).decode() != token:
        raise binascii.Error("spelt otherwise than it was made")
    return sealed


def _context(query: Sequence[Any]) -> bytes:
    return b"pagination:" + msgspec.json.encode(list(query))
