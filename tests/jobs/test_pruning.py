"""Jobs that ended long ago are forgotten, and nothing else."""

from typing import Any

import pytest
import sqlalchemy as sa

from edgepack.database import outputs, schema, tags
from edgepack.database.compilation_jobs import compilation_jobs
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.jobs import JobTable
from edgepack.jobs import pruning
from edgepack.jobs.pruning import prune
from rows import compilation_row, packaging_row

LIMIT = 1_000
OLD, NEW = LIMIT - 1, LIMIT
NOTHING = {"edge packaging job": 0, "compilation job": 0}


def add(database: Database, jobs: JobTable[Any], row: dict[str, Any], *, place: str | None = None) -> Any:
    with database.write() as connection:
        job = jobs.insert(connection, row)
        tags.put(connection, job.arn, {"team": "edge"})
        if place is not None:
            assert outputs.claim(connection, place, job.arn)
            outputs.set_holder(connection, place, job.arn)
            outputs.release(connection, job.arn)
    return job


def names(database: Database, table: sa.Table) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(sa.select(table.c.name)).scalars())


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "STOPPED"])
def test_what_ended_before_is_forgotten_with_all_that_hangs_on_it(database: Database, status: str) -> None:
    add(database, edge_packaging_jobs, packaging_row("old", status=status, modified_at=OLD), place="b/o/old")
    add(database, compilation_jobs, compilation_row("c-old", status=status, modified_at=OLD))
    add(database, edge_packaging_jobs, packaging_row("new", status=status, modified_at=NEW), place="b/o/new")
    assert prune(database, before=LIMIT, dry_run=True) == {"edge packaging job": 1, "compilation job": 1}
    assert names(database, schema.edge_packaging_jobs) == {"old", "new"}
    assert prune(database, before=LIMIT, dry_run=False) == {"edge packaging job": 1, "compilation job": 1}
    assert names(database, schema.edge_packaging_jobs) == {"new"}
    assert names(database, schema.compilation_jobs) == set()
    with database.read() as connection:
        answers = sa.select(sa.func.count()).select_from(schema.edge_packaging_job_answers)
        assert connection.execute(answers).scalar_one() == 1
        assert len(connection.execute(sa.select(schema.tags)).all()) == 1
        assert connection.execute(sa.select(schema.outputs.c.place)).scalars().all() == ["b/o/new"]
    assert prune(database, before=LIMIT, dry_run=False) == NOTHING


@pytest.mark.parametrize("status", ["STARTING", "INPROGRESS", "STOPPING"])
def test_what_has_not_ended_is_kept_however_old(database: Database, status: str) -> None:
    add(database, edge_packaging_jobs, packaging_row("a", status=status, modified_at=OLD))
    assert prune(database, before=LIMIT, dry_run=True) == NOTHING
    assert prune(database, before=LIMIT, dry_run=False) == NOTHING
    assert names(database, schema.edge_packaging_jobs) == {"a"}


def test_a_place_that_another_job_has_taken_is_not_forgotten(database: Database) -> None:
    row = packaging_row("old", status="COMPLETED", modified_at=OLD)
    place = f"{row['output_bucket']}/{row['output_key']}"
    add(database, edge_packaging_jobs, row, place=place)
    with database.write() as connection:
        assert outputs.claim(connection, place, "another")
    prune(database, before=LIMIT, dry_run=False)
    with database.write() as connection:
        assert not outputs.claim(connection, place, "a third one")


def test_all_accounts_and_any_number(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "JOBS_AT_ONCE", 3)
    for number in range(10):
        account = f"{number % 2:012}"
        row = packaging_row(f"job-{number}", account_id=account, status="COMPLETED", modified_at=OLD)
        add(database, edge_packaging_jobs, row)
    assert prune(database, before=LIMIT, dry_run=False)["edge packaging job"] == 10
    assert names(database, schema.edge_packaging_jobs) == set()
