"""The first access key: one, whoever asks for it at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from edgepack.database import access_keys
from edgepack.database.engine import Database
from edgepack.jobs.workflow import system_clock
from edgepack.keys.sealing import SecretBox
from edgepack.service.credentials import ensure_first_key

AT_ONCE = 6
ACCOUNTS = ("111111111111", "222222222222", "333333333333")


def test_those_who_start_at_the_same_moment_get_the_same_one(database: Database, tmp_path: Path) -> None:
    secrets, together = SecretBox.open(tmp_path), Barrier(AT_ONCE)

    def start(account_id: str) -> tuple[str, str]:
        together.wait()
        return ensure_first_key(database, secrets, account_id=account_id, now=system_clock())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for account_id in ACCOUNTS:
            assert len(set(pool.map(start, [account_id] * AT_ONCE))) == 1
    with database.read() as connection:
        assert len(access_keys.long_term(connection)) == len(ACCOUNTS)
