"""The first access key of an account: one, however many servers start at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgepack.database.engine import Database
from edgepack.keys.sealing import SecretBox
from edgepack.service.credentials import ensure_first_key, long_term_keys

SERVERS = 6


def test_servers_that_start_at_once_make_one_first_key(tmp_path: Path, database: Database) -> None:
    secrets = SecretBox.open(tmp_path)
    with ThreadPoolExecutor(SERVERS) as pool:
        made = set(
            pool.map(
                lambda now: ensure_first_key(database, secrets, account_id="000000000000", now=now), range(SERVERS)
            )
        )
    assert long_term_keys(database, secrets) == list(made)
    assert len(made) == 1
