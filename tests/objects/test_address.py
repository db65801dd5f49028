"""S3 addresses: every form AWS has, nobody else's host, and no key that could be read as another."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import ValidationError
from edgepack.objects.address import (
    MAX_KEY_BYTES,
    MAX_URI_CHARACTERS,
    S3Address,
    join_key,
    parse_object_uri,
    parse_s3_uri,
)

LABEL = st.text(string.ascii_lowercase + string.digits, min_size=3, max_size=20)
BUCKETS = st.lists(LABEL, min_size=1, max_size=3).map("-".join)
SEGMENTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1, max_size=20
).filter(lambda segment: segment not in {".", ".."})
KEYS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
WEB_SAFE_KEYS = st.lists(
    st.text(string.ascii_letters + string.digits + "-_.~+=", min_size=1).filter(lambda s: s not in {".", ".."}),
    min_size=1,
    max_size=4,
).map("/".join)
REGIONS = st.sampled_from(["us-east-1", "eu-central-1", "us-gov-west-1", "ap-southeast-4"])


@given(BUCKETS, KEYS)
def test_an_s3_uri_is_taken_as_it_is(bucket: str, key: str) -> None:
    address = parse_s3_uri(f"s3://{bucket}/{key}")
    assert address == S3Address(bucket, key)
    assert address.uri == str(address) == f"s3://{bucket}/{key}"


@given(BUCKETS, WEB_SAFE_KEYS, REGIONS)
def test_every_https_form_of_aws_is_the_same_place(bucket: str, key: str, region: str) -> None:
    hosts = ["s3.amazonaws.com", f"s3.{region}.amazonaws.com", f"s3-{region}.amazonaws.com"]
    hosts.append(f"s3.dualstack.{region}.amazonaws.com")
    for host in hosts:
        assert parse_s3_uri(f"https://{host}/{bucket}/{key}") == S3Address(bucket, key)
        assert parse_s3_uri(f"https://{bucket}.{host}/{key}") == S3Address(bucket, key)


def test_china_and_encoded_paths() -> None:
    assert parse_s3_uri("https://s3.cn-north-1.amazonaws.com.cn/abc/k") == S3Address("abc", "k")
    assert parse_s3_uri("https://abc.s3.us-east-1.amazonaws.com/a%20b/%C3%BC.tar.gz") == S3Address(
        "abc", "a b/ü.tar.gz"
    )
    assert parse_s3_uri("s3://abc/a%20b") == S3Address("abc", "a%20b")
    assert parse_s3_uri("https://my.dotted.bucket.s3.amazonaws.com/k") == S3Address("my.dotted.bucket", "k")


@pytest.mark.parametrize(
    "uri",
    [
        "https://example.com/bucket/key",
        "https://s3.amazonaws.com.evil.example/bucket/key",
        "https://evil.example/s3.amazonaws.com/bucket/key",
        "https://s3.amazonaws.com@evil.example/bucket/key",
        "https://user:secret@s3.amazonaws.com/bucket/key",
        "https://s3.amazonaws.com:8080/bucket/key",
        "https://s3.amazonaws.comx/bucket/key",
        "https://s3.amazonaws.com\n/bucket/key",
        "https://evilamazonaws.com/bucket/key",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/bucket/key",
        "https://[::1]/bucket/key",
        "https://ec2.us-east-1.amazonaws.com/bucket/key",
        "https://s3.amazonaws.com/bucket/key?versionId=1",
        "https://s3.amazonaws.com/bucket/key#part",
        "http://s3.amazonaws.com/bucket/key",
        "file:///etc/passwd",
        "S3://bucket/key",
        "s3:/bucket/key",
        "bucket/key",
        "",
    ],
)
def test_nobody_elses_host(uri: str) -> None:
    with pytest.raises(ValidationError):
        parse_s3_uri(uri)


@pytest.mark.parametrize(
    "bucket",
    [
        "",
        "ab",
        "a" * 64,
        "Bucket",
        "buck_et",
        "-bucket",
        "bucket-",
        ".bucket",
        "buc..ket",
        "büçket",
        "b ket",
        "buc:et",
        "buck\n",
    ],
)
def test_no_such_bucket_can_exist(bucket: str) -> None:
    for uri in (f"s3://{bucket}/key", f"https://s3.amazonaws.com/{bucket}/key"):
        with pytest.raises(ValidationError):
            parse_s3_uri(uri)


@pytest.mark.parametrize("key", ["../secret", "a/../b", "a/./b", ".", "..", "a/..", "line\nfeed", "nul\0", "\x7f"])
def test_a_key_that_could_be_read_as_another(key: str) -> None:
    for uri in (f"s3://bucket/{key}", "https://bucket.s3.amazonaws.com/" + "".join(f"%{b:02x}" for b in key.encode())):
        with pytest.raises(ValidationError):
            parse_s3_uri(uri)
    with pytest.raises(ValidationError):
        join_key("s3://bucket/prefix", key)


def test_the_limits_of_length() -> None:
    longest = "k" * (MAX_URI_CHARACTERS - len("s3://bucket/"))
    assert parse_s3_uri(f"s3://bucket/{longest}").key == longest
    with pytest.raises(ValidationError, match=str(MAX_URI_CHARACTERS + 1)):
        parse_s3_uri(f"s3://bucket/{longest}k")
    with pytest.raises(ValidationError, match=str(MAX_KEY_BYTES)):
        parse_s3_uri("s3://bucket/" + "ü" * 600)
    with pytest.raises(ValidationError, match=str(MAX_KEY_BYTES)):
        join_key(f"s3://bucket/{longest}", "name.tar.gz-too-long")
    with pytest.raises(ValidationError):
        parse_s3_uri("s3://bucket/\ud800")


@pytest.mark.parametrize(
    ("prefix", "uri"),
    [
        ("s3://bucket", "s3://bucket/m-1.tar.gz"),
        ("s3://bucket/", "s3://bucket/m-1.tar.gz"),
        ("s3://bucket/some/prefix", "s3://bucket/some/prefix/m-1.tar.gz"),
        ("s3://bucket/some/prefix/", "s3://bucket/some/prefix/m-1.tar.gz"),
        ("s3://bucket/some//", "s3://bucket/some//m-1.tar.gz"),
        ("https://bucket.s3.amazonaws.com/some", "s3://bucket/some/m-1.tar.gz"),
    ],
)
def test_a_slash_is_added_only_where_it_is_missing(prefix: str, uri: str) -> None:
    assert join_key(prefix, "m-1.tar.gz").uri == uri


@given(BUCKETS, KEYS, SEGMENTS)
def test_what_is_joined_can_be_parsed(bucket: str, prefix: str, name: str) -> None:
    joined = join_key(f"s3://{bucket}/{prefix}", name)
    assert parse_object_uri(joined.uri) == joined
    assert joined.key == f"{prefix}/{name}"


@pytest.mark.parametrize(
    "uri", ["s3://bucket", "s3://bucket/", "s3://bucket/folder/", "https://bucket.s3.amazonaws.com"]
)
def test_an_object_must_be_named(uri: str) -> None:
    assert parse_s3_uri(uri).bucket == "bucket"
    with pytest.raises(ValidationError, match="names no object"):
        parse_object_uri(uri)
