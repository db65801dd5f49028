"""`edgepack prune` as an operator runs it."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from cli.running import edgepack
from edgepack.cli.state import DataFolder, Endpoints
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.migrate import upgrade
from postgres import PostgresServer
from rows import packaging_row


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a server's data in it, of two jobs that ended in 1970."""
    (tmp_path / "data").mkdir()
    database = Database(f"sqlite:///{tmp_path / 'data' / 'edgepack.db'}")
    upgrade(database)
    with database.write() as connection:
        for name in ("a", "b"):
            edge_packaging_jobs.insert(connection, packaging_row(name, status="FAILED"))
    database.close()
    return tmp_path


def test_it_tells_what_it_would_do_and_then_does_it(folder: Path) -> None:
    prune = ("prune", "--data", "data", "--older-than", "30d")
    told = edgepack(*prune, "--dry-run", folder=folder).stdout
    assert told.startswith("would forget 2 edge packaging jobs and 0 compilation jobs that ended before ")
    assert json.loads(edgepack(*prune, "--json", "--dry-run", folder=folder).stdout)["dry_run"] is True
    told = edgepack(*prune, folder=folder).stdout
    assert told.startswith("forgot 2 edge packaging jobs and 0 compilation jobs")
    assert told.endswith("; what they wrote stays where it is\n")
    found = json.loads(edgepack(*prune, "--json", folder=folder).stdout)
    assert found["forgotten"] == {"edge_packaging_jobs": 0, "compilation_jobs": 0}


@pytest.mark.parametrize("age", ["", "30", "d", "-1d", "1w", "9999999d", "1.5d"])
def test_an_age_that_is_none_is_a_usage_error(folder: Path, age: str) -> None:
    told = edgepack("prune", "--data", "data", f"--older-than={age}", folder=folder, code=2).stderr
    assert "90d is ninety days" in told
    assert (
        "would forget 2 " in edgepack("prune", "--data", "data", "--older-than=1d", "--dry-run", folder=folder).stdout
    )


def test_an_age_is_required(folder: Path) -> None:
    assert "--older-than" in edgepack("prune", "--data", "data", folder=folder, code=2).stderr


def test_it_makes_no_database(tmp_path: Path) -> None:
    told = edgepack("prune", "--data", "data", "--older-than", "30d", "--dry-run", folder=tmp_path, code=1).stderr
    assert "There is no database at" in told
    assert "--data" in told
    assert not (tmp_path / "data").exists()


def test_it_migrates_none(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()
    prune = ("prune", "--data", "data", "--database", url, "--older-than", "30d")
    assert "has no tables of edgepack's" in edgepack(*prune, folder=tmp_path, code=1).stderr
    database = Database(url)
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == []
    database.close()


def test_it_looks_at_the_database_that_the_server_used(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()
    database = Database(url)
    upgrade(database)
    with database.write() as connection:
        edge_packaging_jobs.insert(connection, packaging_row("a", status="FAILED"))
    database.close()
    data = DataFolder(tmp_path / "data")
    data.path.mkdir()
    data.write_endpoints(
        Endpoints(api="http://a", s3="http://b", kms="http://c", region="us-east-1", account_id="1", database=url)
    )
    told = edgepack("prune", "--data", "data", "--older-than", "30d", folder=tmp_path).stdout
    assert told.startswith("forgot 1 edge packaging job ")
    assert not (tmp_path / "data" / "edgepack.db").exists()
