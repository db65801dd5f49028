"""Access keys and principal ids look as AWS's do, and secrets stay out of logs."""

import re

from edgepack.keys.access_keys import new_access_key, new_role_id, new_session_credentials, new_user_id

ROLE = "arn:aws:iam::000000000000:role/SageMakerEdge"
SECRET = r"[A-Za-z0-9+/]{40}"


def test_access_keys_have_the_form_of_aws() -> None:
    access_key_id, secret = new_access_key()
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", access_key_id)
    assert re.fullmatch(SECRET, secret)


def test_session_credentials_have_the_form_of_aws_and_hide_their_secrets() -> None:
    fresh = new_session_credentials()
    assert re.fullmatch(r"ASIA[A-Z2-7]{16}", fresh.access_key_id)
    assert re.fullmatch(SECRET, fresh.secret_access_key)
    assert re.fullmatch(r"[A-Za-z0-9+/]{128}", fresh.session_token)
    assert fresh.secret_access_key not in repr(fresh)
    assert fresh.session_token not in repr(fresh)


def test_principal_ids_have_the_form_of_aws() -> None:
    assert re.fullmatch(r"AIDA[A-Z2-7]{17}", new_user_id())
    assert re.fullmatch(r"AROA[A-Z2-7]{17}", new_role_id(ROLE))


def test_a_role_keeps_its_id() -> None:
    assert new_role_id(ROLE) == new_role_id(ROLE)
    assert new_role_id(ROLE) != new_role_id(ROLE + "2")


def test_nothing_is_given_out_twice() -> None:
    keys = [new_access_key() for _ in range(500)]
    assert len({access_key_id for access_key_id, _ in keys}) == 500
    assert len({secret for _, secret in keys}) == 500
    assert len({new_user_id() for _ in range(500)}) == 500
