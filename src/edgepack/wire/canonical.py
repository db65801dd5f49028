"""The canonical request of AWS Signature Version 4: one spelling for all the ways to write the same request.

Source: "Create a canonical request" in the AWS reference guide on signing requests
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html), as every service but S3
applies it: the path is normalised and encoded once more, and the query's names and values are re-encoded and sorted.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Final
from urllib.parse import quote, unquote_to_bytes

UNRESERVED_IN_PATH: Final = "/~"
UNRESERVED_IN_QUERY: Final = "~"

_REMEMBERED: Final = 1024


def canonical_request(  # noqa: PLR0913, PLR0917 - the specification's six parts
    method: str, path: bytes, query: bytes, headers: Mapping[bytes, bytes], signed: bytes, payload_sha256: bytes
) -> bytes:
    """Spell out a request as its signer did.

    Args:
        method: Upper-case.
        path: As received: percent-encoded.
        query: As received: percent-encoded, without the question mark.
        headers: By lower-case name; must hold every signed header.
        signed: The signed headers' names, joined by semicolons.
        payload_sha256: The body's digest in lower-case hex, 64 bytes.

    Returns:
        The canonical request, whose SHA-256 goes into the string to sign.
    """
    template, values_of = _header_lines(signed)
    values = values_of(headers)
    lines = template % values
    if b"  " in lines or b"\t" in lines or b" \n" in lines or b": " in lines:
        # Perhaps there is space to trim, which is rarer than trimming is slow.
        lines = template % tuple([b" ".join(value.split()) for value in values])
    path = b"/" if path == b"/" else canonical_path(path)
    query = canonical_query(query) if query else b""
    return b"%b\n%b\n%b\n%b\n%b\n%b" % (method.encode(), path, query, lines, signed, payload_sha256)


@lru_cache(_REMEMBERED)
def _header_lines(signed: bytes) -> tuple[bytes, Callable[[Mapping[bytes, bytes]], tuple[bytes, ...]]]:
    """The header lines with a gap for each value, and what takes the values from the headers, in that order."""
    names = signed.split(b";")
    template = b"".join(name.replace(b"%", b"%%") + b":%b\n" for name in names)
    if len(names) == 1:
        return template, lambda headers: (headers[names[0]],)
    return template, itemgetter(*names)


def canonical_path(path: bytes) -> bytes:
    """Remove dot segments and doubled slashes, then percent-encode what was already encoded."""
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in {b"", b"."}:
            kept.append(segment)
    slash = b"/" if kept and path.endswith(b"/") else b""
    return quote(b"/" + b"/".join(kept) + slash, safe=UNRESERVED_IN_PATH).encode()


def canonical_query(query: bytes) -> bytes:
    """Decode each name and value, encode them strictly, and sort by name, then value."""
    pairs = []
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        pairs.append((_reencoded(name), _reencoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs)).encode()


def _reencoded(part: bytes) -> str:
    # Form encoders, botocore's among them, send a space as a plus and sign it as %20.
    return quote(unquote_to_bytes(part.replace(b"+", b" ")), safe=UNRESERVED_IN_QUERY)
