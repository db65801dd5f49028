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
    template, values_of = _template(signed)
    values = values_of(headers)
    path = b"/" if path == b"/" else canonical_path(path)
    first = (method.encode(), path, canonical_query(query) if query else b"")
    text = template % (*first, *values, payload_sha256)
    if b"  " in text or b"\t" in text or b" \n" in text or b": " in text:
        # Perhaps there is space to trim in a header, which is rarer than trimming is slow.
        text = template % (*first, *[b" ".join(value.split()) for value in values], payload_sha256)
    return text


@lru_cache(_REMEMBERED)
def _template(signed: bytes) -> tuple[bytes, Callable[[Mapping[bytes, bytes]], tuple[bytes, ...]]]:
    """The canonical request with gaps, and what takes the values from the headers, in the gaps' order."""
    names = signed.split(b";")
    lines = b"".join(name.replace(b"%", b"%%") + b":%b\n" for name in names)
    template = b"%b\n%b\n%b\n" + lines + b"\n" + signed.replace(b"%", b"%%") + b"\n%b"
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
