"""No secret lies about: not in the database, not in logs, not in any file that others may read."""

import stat

import pytest

from driving import compiled, packaged
from harness import RunningServer

pytestmark = pytest.mark.server


def test_no_secret_access_key_is_nowhere_in_plain_text(server: RunningServer) -> None:
    compiled(server, "secret-source")
    packaged(server, "secret-package", "secret-source")
    secrets = [server.environment["AWS_SECRET_ACCESS_KEY"], *([server.store_key[1]] if server.store_key else [])]
    log = server.data.with_name(f"{server.data.name}.log")
    files = [log, *(path for path in server.data.rglob("*") if path.is_file())]
    assert len(files) > 6
    assert [path for path in files for secret in secrets if secret.encode() in path.read_bytes()] == []


def test_nobody_else_may_read_the_data_folder(server: RunningServer) -> None:
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    databases = list(server.data.glob("edgepack.db*"))
    assert bool(databases) is not bool(server.settings)
    private = [*(server.data / "keys").iterdir(), *databases, server.data / "endpoints.json"]
    assert [path for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
