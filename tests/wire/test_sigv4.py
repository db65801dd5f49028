"""Signature Version 4 held against botocore's signer: what it signs verifies, and nothing else does."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.errors import (
    EdgepackError,
    IncompleteSignatureError,
    InvalidSignatureError,
    MissingAuthenticationError,
    RequestExpiredError,
    WireError,
)
from edgepack.wire import sigv4
from edgepack.wire.authorization import MAX_HEADER_BYTES
from edgepack.wire.messages import Request, read_head

KEY_ID, SECRET = "AKIAEDGEPACKTEST0001", "a/secret+access/key"
NOW = datetime(2026, 11, 24, 12, 30, 45, tzinfo=UTC)
REGION, SERVICES = b"us-east-1", frozenset({b"sagemaker"})
BODY = b'{"EdgePackagingJobName":"a-job"}'
TARGET = "SageMaker.DescribeEdgePackagingJob"

Raw = list[tuple[bytes, bytes]]


def sign(  # one argument for each thing that a signature covers
    *,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    headers: list[tuple[str, str]] | None = None,
    body: bytes = BODY,
    at: datetime = NOW,
    service: str = "sagemaker",
    region: str = "us-east-1",
    token: str | None = None,
) -> tuple[str, str, str, Raw]:
    """Sign with botocore; method, path, query and headers as they would arrive."""
    url = f"http://localhost:8480{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, data=body)
    for name, value in [("X-Amz-Target", TARGET)] if headers is None else headers:
        request.headers.add_header(name, value)
    with patch("botocore.auth.get_current_datetime", return_value=at.replace(tzinfo=None)):
        SigV4Auth(Credentials(KEY_ID, SECRET, token), service, region).add_auth(request)
    received = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    return method, path, query, [*received, (b"host", b"localhost:8480")]


def as_request(method: str, path: str, query: str, headers: Raw) -> Request:
    return read_head({"method": method, "raw_path": path.encode(), "query_string": query.encode(), "headers": headers})


def verify(
    request: Request, body: bytes = BODY, *, at: datetime = NOW, services: frozenset[bytes] | None = SERVICES
) -> None:
    claim = sigv4.examine(request, now=at.timestamp(), region=REGION, services=services)
    secret = SECRET if claim.scope.access_key_id == KEY_ID else "that of nobody"
    sigv4.check_signature(claim, request, body, key=sigv4.derive_key(secret.encode(), claim.scope))


def refusal(request: Request, body: bytes = BODY, **options: Any) -> EdgepackError:
    with pytest.raises(WireError) as caught:
        verify(request, body, **options)
    return caught.value


def changed(headers: Raw, name: bytes, change: Callable[[bytes], bytes]) -> Raw:
    assert any(each == name for each, _ in headers)
    return [(each, change(value) if each == name else value) for each, value in headers]


def without(headers: Raw, name: bytes) -> Raw:
    return [(each, value) for each, value in headers if each != name]


def test_what_botocore_signs_verifies() -> None:
    verify(as_request(*sign()))


# -- any request that botocore can sign ------------------------------------------------------------------------------

visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
header_values = st.text(st.one_of(visible, st.just(" "), st.just("\t")), max_size=40)
header_names = st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True).filter(
    lambda name: (
        name not in {"host", "date", "authorization", "expect", "user-agent", "connection", "transfer-encoding"}
        and not name.startswith("x-amz")
    )
)
path_segments = st.one_of(st.text(max_size=8).map(lambda text: quote(text, safe="")), st.sampled_from([".", "..", ""]))
paths = st.lists(path_segments, max_size=5).map(lambda parts: "/" + "/".join(parts))
query_parts = st.text(max_size=8).map(lambda text: quote(text, safe="-_.~"))
queries = st.lists(st.tuples(query_parts, query_parts), max_size=5).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
        "path": paths,
        "query": queries,
        "headers": st.lists(st.tuples(header_names, header_values), max_size=6),
        "body": st.binary(max_size=64),
        "token": st.one_of(st.none(), st.text(visible, min_size=1, max_size=30)),
    }
)


@settings(max_examples=400)
@given(requests)
def test_whatever_botocore_signs_verifies(parts: dict[str, Any]) -> None:
    # An empty query pair ("=") is signed by botocore as it stands in the URL; a lone one vanishes from the URL itself.
    method, path, query, headers = sign(**parts)
    path = urlsplit(f"http://localhost:8480{path}").path
    verify(as_request(method, path, query, headers), parts["body"])


@settings(max_examples=400)
@given(requests, st.data())
def test_no_single_change_to_what_is_signed_verifies(parts: dict[str, Any], data: st.DataObject) -> None:
    method, path, query, headers = sign(**parts)
    body: bytes = parts["body"]
    request = as_request(method, path, query, headers)
    signed = sorted(
        name.decode()
        for name in sigv4.examine(request, now=NOW.timestamp(), region=REGION, services=SERVICES).signed.names
    )
    kind = data.draw(st.sampled_from(["method", "path", "query", "body", "signature", *signed]))
    if kind == "method":
        request = as_request(data.draw(st.sampled_from(["HEAD", "PATCH"])), path, query, headers)
    elif kind == "path":
        request = as_request(method, path + "x", query, headers)
    elif kind == "query":
        request = as_request(method, path, query + ("&x=" if query else "x="), headers)
    elif kind == "body":
        body = data.draw(mutations(body))
    elif kind == "signature":
        request = as_request(method, path, query, changed(headers, b"authorization", flip_last))
    else:
        request = as_request(method, path, query, changed(headers, kind.encode(), lambda value: value + b"x"))
    with pytest.raises(WireError):
        verify(request, body)


def mutations(value: bytes) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=max(0, len(value) - 1), max_size=len(value) + 1).filter(lambda other: other != value)


def flip_last(value: bytes) -> bytes:
    return value[:-1] + (b"0" if value[-1:] != b"0" else b"1")


def test_every_character_of_the_authorization_header_counts() -> None:
    method, path, query, headers = sign()
    header = dict(headers)[b"authorization"]
    for position in range(len(header)):
        broken = (
            header[:position] + (b"0" if header[position : position + 1] != b"0" else b"1") + header[position + 1 :]
        )
        with pytest.raises(WireError):
            verify(as_request(method, path, query, [*without(headers, b"authorization"), (b"authorization", broken)]))


# -- spellings of the same request -----------------------------------------------------------------------------------


def test_repeated_headers_are_joined_and_runs_of_spaces_collapse() -> None:
    method, path, query, headers = sign(headers=[("X-Amz-Meta", " a   b "), ("X-Amz-Meta", "c\t d")])
    assert [value for name, value in headers if name == b"x-amz-meta"] == [b" a   b ", b"c\t d"]
    verify(as_request(method, path, query, headers))
    respaced = [(name, value.replace(b"   ", b" ").strip()) for name, value in headers]
    verify(as_request(method, path, query, respaced))


def test_a_repeated_header_in_another_order_does_not_verify() -> None:
    method, path, query, headers = sign(headers=[("X-Amz-Meta", "a"), ("X-Amz-Meta", "b")])
    swapped = [(b"x-amz-meta", b"b"), (b"x-amz-meta", b"a"), *without(headers, b"x-amz-meta")]
    assert isinstance(refusal(as_request(method, path, query, swapped)), InvalidSignatureError)


def test_the_query_may_be_encoded_and_ordered_otherwise() -> None:
    method, path, _, headers = sign(query="a=~x&b=1%202&b=0")
    verify(as_request(method, path, "b=1+2&b=0&a=%7ex", headers))
    assert isinstance(refusal(as_request(method, path, "b=1+3&b=0&a=%7ex", headers)), InvalidSignatureError)


def test_components_may_come_in_any_order_and_spacing() -> None:
    method, path, query, headers = sign()
    algorithm, _, rest = dict(headers)[b"authorization"].partition(b" ")
    for spelled in (
        algorithm + b"  " + b",".join(reversed(rest.split(b", "))),
        algorithm + b" " + rest.replace(b", ", b","),
        algorithm + b" " + rest.replace(b", ", b" ,\t"),
    ):
        verify(as_request(method, path, query, [*without(headers, b"authorization"), (b"authorization", spelled)]))


def test_a_body_hash_that_is_sent_and_right_verifies() -> None:
    digest = hashlib.sha256(BODY).hexdigest()
    verify(as_request(*sign(headers=[("X-Amz-Content-SHA256", digest)])))


# -- refusals --------------------------------------------------------------------------------------------------------


def test_an_unsigned_request() -> None:
    method, path, query, headers = sign()
    error = refusal(as_request(method, path, query, without(headers, b"authorization")))
    assert isinstance(error, MissingAuthenticationError)
    assert "edgepack env" in error.diagnostics()


def test_a_presigned_request_is_told_that_the_form_is_not_served() -> None:
    error = refusal(as_request("GET", "/", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00", [(b"host", b"h")]))
    assert isinstance(error, MissingAuthenticationError)
    assert "presigned" in error.message


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"Basic dXNlcjpwYXNz", "algorithm"),
        (b"", "algorithm"),
        (b"AWS4-HMAC-SHA256", "lacks|unknown"),
        (
            b"AWS4-HMAC-SHA256 Credential=a/20261124/us-east-1/sagemaker/aws4_request",
            "lacks SignedHeaders and Signature",
        ),
        (b"AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0", "form KEY"),
        (
            b"AWS4-HMAC-SHA256 Credential=/20261124/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0",
            "form",
        ),
        (
            b"AWS4-HMAC-SHA256 Credential=a/20261124/us-east-1/sagemaker/aws5, SignedHeaders=host, Signature=0",
            "form KEY",
        ),
        (
            b"AWS4-HMAC-SHA256 Credential=\xff/1/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0",
            "form",
        ),
        (b"AWS4-HMAC-SHA256 Signature=0, Signature=1, SignedHeaders=host", "repeats"),
        (b"AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=0, More=1", "unknown"),
        (b"AWS4-HMAC-SHA256 Signature=0, Credential=a, SignedHeaders=host, Signature=1", "repeats"),
        (b"AWS4-HMAC-SHA256 Credential=a, Signature=0, SignedHeaders=host, Signature=1", "repeats"),
        (b"AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=", "lacks Signature"),
        (b"AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host Signature=0", "lacks Signature"),
        (b"AWS4-HMAC-SHA256 " + b" " * MAX_HEADER_BYTES + b"Credential=a, SignedHeaders=host, Signature=0", "longer"),
    ],
)
def test_an_incomplete_authorization_header(header: bytes, text: str) -> None:
    method, path, query, headers = sign()
    error = refusal(as_request(method, path, query, [*without(headers, b"authorization"), (b"authorization", header)]))
    assert isinstance(error, IncompleteSignatureError)
    assert any(part in error.message for part in text.split("|"))


@pytest.mark.parametrize("names", [b"", b"Host", b"x;host", b"host;host", b"host;"])
def test_signed_headers_out_of_form(names: bytes) -> None:
    method, path, query, headers = sign()
    before = dict(headers)[b"authorization"]
    head, _, tail = before.partition(b"SignedHeaders=")
    header = head + b"SignedHeaders=" + names + b"," + tail.partition(b",")[2]
    error = refusal(as_request(method, path, query, [*without(headers, b"authorization"), (b"authorization", header)]))
    assert isinstance(error, IncompleteSignatureError)


def test_a_signature_for_another_region() -> None:
    error = refusal(as_request(*sign(region="eu-west-1")))
    assert isinstance(error, InvalidSignatureError)
    assert "'eu-west-1'" in error.message
    assert "'us-east-1'" in error.message


def test_a_signature_for_another_service() -> None:
    error = refusal(as_request(*sign(service="s3")))
    assert isinstance(error, InvalidSignatureError)
    assert "'s3'" in error.message
    assert "'sagemaker'" in error.message
    verify(as_request(*sign(service="s3")), services=None)


def test_the_wrong_secret() -> None:
    request = as_request(*sign())
    claim = sigv4.examine(request, now=NOW.timestamp(), region=REGION, services=SERVICES)
    with pytest.raises(InvalidSignatureError, match=KEY_ID) as caught:
        sigv4.check_signature(claim, request, BODY, key=sigv4.derive_key(b"another", claim.scope))
    assert SECRET not in caught.value.diagnostics()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-901, "Signature expired"), (901, "Signature not yet current"), (-900, None), (900, None)],
)
def test_clock_skew(seconds: int, text: str | None) -> None:
    signed_at = datetime.fromtimestamp(NOW.timestamp() + seconds, UTC)
    request = as_request(*sign(at=signed_at))
    if text is None:
        verify(request)
        return
    error = refusal(request)
    assert isinstance(error, RequestExpiredError)
    assert error.message.startswith(text)
    assert "20261124T123045Z" in error.message


def test_a_scope_of_another_date_than_the_request() -> None:
    method, path, query, headers = sign()
    moved = changed(headers, b"authorization", lambda value: value.replace(b"/20261124/", b"/20261123/"))
    error = refusal(as_request(method, path, query, moved))
    assert isinstance(error, InvalidSignatureError)
    assert "20261123" in error.message


@pytest.mark.parametrize(
    "date", [b"20261124T12:30:45Z", b"2026-11-24T123045Z", b"20261124T123045", b"2026112T123045Z", b"", b"\xff" * 16]
)
def test_a_date_out_of_form(date: bytes) -> None:
    method, path, query, headers = sign()
    error = refusal(as_request(method, path, query, changed(headers, b"x-amz-date", lambda _: date)))
    assert isinstance(error, IncompleteSignatureError)


def test_no_date() -> None:
    method, path, query, headers = sign()
    assert "X-Amz-Date" in refusal(as_request(method, path, query, without(headers, b"x-amz-date"))).message


def test_an_unsigned_target_is_refused() -> None:
    method, path, query, headers = sign(headers=[])
    error = refusal(as_request(method, path, query, [*headers, (b"x-amz-target", TARGET.encode())]))
    assert isinstance(error, InvalidSignatureError)
    assert "'x-amz-target'" in error.message


def test_a_signed_header_that_is_missing() -> None:
    method, path, query, headers = sign()
    error = refusal(as_request(method, path, query, without(headers, b"x-amz-target")))
    assert isinstance(error, InvalidSignatureError)
    assert "'x-amz-target'" in error.message


def test_a_host_that_is_not_signed() -> None:
    method, path, query, headers = sign()
    unsigned = changed(
        headers, b"authorization", lambda value: value.replace(b"SignedHeaders=host;", b"SignedHeaders=")
    )
    error = refusal(as_request(method, path, query, unsigned))
    assert isinstance(error, InvalidSignatureError)
    assert "Host" in error.message


@pytest.mark.parametrize("declared", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"])
def test_an_unsigned_payload(declared: str) -> None:
    error = refusal(as_request(*sign(headers=[("X-Amz-Content-SHA256", declared)])))
    assert isinstance(error, InvalidSignatureError)
    assert declared in error.message


def test_a_body_hash_of_another_body() -> None:
    digest = hashlib.sha256(b"another").hexdigest()
    error = refusal(as_request(*sign(headers=[("X-Amz-Content-SHA256", digest)])))
    assert isinstance(error, InvalidSignatureError)
    assert "SHA-256" in error.message
