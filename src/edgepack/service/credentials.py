"""Access keys: the first one, and the look-up that every signed request makes."""

from edgepack.database import access_keys
from edgepack.database.accounts import lock_account
from edgepack.database.engine import Database
from edgepack.database.records import MICROSECONDS, AccessKey
from edgepack.database.revision import revision_of
from edgepack.errors import StateError
from edgepack.keys.access_keys import new_access_key, new_user_id
from edgepack.keys.sealing import SecretBox
from edgepack.service.caller import Credential


def secret_context(access_key_id: str) -> bytes:
    """What a sealed secret is bound to, so that one key's secret cannot be put in another's row."""
    return b"access-key:" + access_key_id.encode()


def ensure_first_key(database: Database, secrets: SecretBox, *, account_id: str, now: int) -> tuple[str, str]:
    """The account's first access key, created when it has none; of several servers that start at once, by one.

    Args:
        database: Where keys are.
        secrets: Seals the secret.
        account_id: 12 digits.
        now: Microseconds since the epoch.

    Returns:
        Access key id and secret access key.
    """
    with database.write() as connection:
        lock_account(connection, account_id)
        key = access_keys.first_of(connection, account_id)
        if key is not None:
            return key.access_key_id, _secret(secrets, key).decode()
        access_key_id, secret = new_access_key()
        access_keys.add(
            connection,
            AccessKey(
                access_key_id=access_key_id,
                account_id=account_id,
                principal_arn=f"arn:aws:iam::{account_id}:user/admin",
                principal_id=new_user_id(),
                sealed_secret=secrets.seal(secret.encode(), context=secret_context(access_key_id)),
                token_sha256=None,
                created_at=now,
                expires_at=None,
            ),
        )
    return access_key_id, secret


def first_key(database: Database, secrets: SecretBox, *, account_id: str) -> tuple[str, str]:
    """The account's first access key: its id and secret.

    Raises:
        StateError: The account has none.
    """
    with database.read() as connection:
        key = access_keys.first_of(connection, account_id)
    if key is None:
        raise StateError(f"Account {account_id} has no access key.", advice="Start the server once: it creates one.")
    return key.access_key_id, _secret(secrets, key).decode()


def long_term_keys(database: Database, secrets: SecretBox) -> list[tuple[str, str]]:
    """The id and secret of every access key that does not end by itself, of all accounts."""
    with database.read() as connection:
        return [(key.access_key_id, _secret(secrets, key).decode()) for key in access_keys.long_term(connection)]


def has_keys(database: Database) -> bool:
    """Whether the database has an access key of anybody; an empty one has not even the table.

    Raises:
        DatabaseUnavailableError: It cannot be reached.
    """
    with database.read() as connection:
        return revision_of(connection) is not None and bool(access_keys.long_term(connection))


def require_keys_of(database: Database, secrets: SecretBox) -> None:
    """See that the keys folder of this machine is that of the database, before anything is signed with what is in it.

    Raises:
        SealError: The access keys in the database were sealed by another one.
    """
    long_term_keys(database, secrets)


class CredentialLookup:
    """Finds the credential of an access key id.

    Args:
        database: Where keys are.
        secrets: Unseals their secrets.
    """

    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    def __call__(self, access_key_id: str) -> Credential | None:
        """The credential, or None for a key that is not known.

        Raises:
            DatabaseUnavailableError: The database failed.
            SealError: The data folder's sealing key is not the one the secret was sealed with.
        """
        with self._database.read() as connection:
            key = access_keys.find(connection, access_key_id)
        return None if key is None else self._credential(key)

    def _credential(self, key: AccessKey) -> Credential:
        return Credential(
            access_key_id=key.access_key_id,
            secret=_secret(self._secrets, key),
            account_id=key.account_id,
            arn=key.principal_arn,
            user_id=key.principal_id,
            token_sha256=key.token_sha256,
            expires_at=None if key.expires_at is None else key.expires_at / MICROSECONDS,
        )


def _secret(secrets: SecretBox, key: AccessKey) -> bytes:
    return secrets.unseal(key.sealed_secret, context=secret_context(key.access_key_id))
