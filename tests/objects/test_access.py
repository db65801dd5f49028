"""Whether a store knows the access key is found out before jobs are taken."""

import pytest

from edgepack.errors import StateError
from s3_proxy import Answer, proxied, s3_error
from stores import RunningStore


def test_a_store_that_knows_the_key_will_do(weed: RunningStore) -> None:
    weed.connect().require_known()


@pytest.mark.parametrize("changes", [{"secret_key": "another"}, {"access_key": "AKIAUNKNOWN"}])
def test_one_that_does_not_is_refused(weed: RunningStore, changes: dict[str, str]) -> None:
    with pytest.raises(StateError, match="does not accept the access key") as raised:
        weed.connect(**changes).require_known()
    assert "EDGEPACK_S3_SECRET_ACCESS_KEY" in raised.value.advice


NO_S3 = {
    "json": Answer(403, b'{"__type":"InvalidSignatureException"}', (("Content-Type", "application/json"),)),
    "html": Answer(404, b"<html>not here</html>", (("Content-Type", "text/html"),)),
    "nothing": Answer(401),
}


@pytest.mark.parametrize("answer", NO_S3)
def test_what_is_no_s3_server_is_refused(weed: RunningStore, answer: str) -> None:
    with proxied(weed.embedded.endpoint) as proxy:
        proxy.rule = lambda _: NO_S3[answer]
        with pytest.raises(StateError) as raised:
            weed.connect(endpoint=proxy.endpoint).require_known()
    assert "--s3-endpoint" in raised.value.advice


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (503, "SlowDown"), (500, "InternalError")])
def test_one_that_only_may_not_or_cannot_tell_is_not_judged(weed: RunningStore, status: int, code: str) -> None:
    with proxied(weed.embedded.endpoint) as proxy:
        proxy.rule = lambda _: s3_error(status, code)
        weed.connect(endpoint=proxy.endpoint).require_known()
