"""What a store answers becomes an error that a caller can act on, whatever server it is."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from edgepack.objects import errors
from edgepack.objects.address import S3Address
from edgepack.objects.errors import classify, translate
from edgepack.objects.info import is_key

ADDRESS = S3Address("bucket", "some/key")
KEY_ID = "11111111-2222-3333-4444-555555555555"
KEY_ARN = f"arn:aws:kms:us-east-1:000000000000:key/{KEY_ID}"


def answer(code: str, status: int) -> ClientError:
    response = {"Error": {"Code": code, "Message": "In its words."}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetObject")  # type: ignore[arg-type]  # the parts that are looked at


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NoSuchBucket", 404, errors.BucketNotFoundError),
        ("NoSuchKey", 404, errors.ObjectNotFoundError),
        ("404", 404, errors.ObjectNotFoundError),
        ("AccessDenied", 403, errors.StoreAccessDeniedError),
        ("SignatureDoesNotMatch", 403, errors.StoreAccessDeniedError),
        ("PreconditionFailed", 412, errors.ObjectChangedError),
        ("412", 412, errors.ObjectChangedError),
        ("NoSuchUpload", 404, errors.UploadNotFoundError),
        ("XMinioStorageFull", 507, errors.StoreFullError),
        ("AnythingAtAll", 507, errors.StoreFullError),
        ("SlowDown", 503, errors.StoreUnavailableError),
        ("AnythingAtAll", 500, errors.StoreUnavailableError),
        ("TooManyRequests", 429, errors.StoreUnavailableError),
        ("NotImplemented", 501, errors.StoreRefusedError),
        ("KMS.DisabledException", 400, errors.EncryptionKeyError),
        ("AnythingAtAll", 400, errors.StoreRefusedError),
    ],
)
def test_each_answer_has_its_error(code: str, status: int, expected: type[errors.ObjectStoreError]) -> None:
    assert classify(code, status) is expected
    translated = translate(answer(code, status), ADDRESS, "read")
    assert type(translated) is expected
    assert translated.message == (
        f"Could not read s3://bucket/some/key: the store answered {code} ({status}): In its words."
    )


def test_no_answer_at_all_may_be_repeated() -> None:
    for error in (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), ConnectionResetError("reset\nby peer")):
        translated = translate(error, ADDRESS, "write")
        assert isinstance(translated, errors.StoreUnavailableError)
        assert translated.retryable
        assert "s3://bucket/some/key" in translated.message
        assert "\n" not in translated.message


def test_an_unusable_key_is_told_from_a_broken_store() -> None:
    broken = answer("InternalError", 500)
    assert isinstance(translate(broken, ADDRESS, "write", kms_key_id=KEY_ID), errors.EncryptionKeyError)
    assert isinstance(translate(broken, ADDRESS, "write"), errors.StoreUnavailableError)


@pytest.mark.parametrize(
    ("asked", "found", "same"),
    [
        (KEY_ID, KEY_ID, True),
        (KEY_ID, KEY_ARN, True),
        (KEY_ARN, KEY_ARN, True),
        (KEY_ARN, KEY_ID, True),
        ("alias/edge", KEY_ARN, True),
        ("arn:aws:kms:us-east-1:000000000000:alias/edge", KEY_ARN, True),
        (KEY_ID, KEY_ARN.replace("1111", "9999"), False),
        (KEY_ARN, "another", False),
    ],
)
def test_names_of_keys(asked: str, found: str, same: bool) -> None:
    assert is_key(found, asked=asked) is same
