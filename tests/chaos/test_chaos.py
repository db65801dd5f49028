"""The short form of the run that `make chaos` makes long: on each database, with another seed each time."""

import os
import random
from pathlib import Path

import pytest

from chaos.report import Size
from chaos.run import run
from postgres import DATABASES, SQLITE, running_postgres

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

SHORT = Size(jobs=32, workers=3, deeds=6, seconds=20.0)


@pytest.mark.parametrize("database", DATABASES)
def test_every_job_ends_once_and_leaves_nothing_but_its_result(database: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 32))
    print(f"CHAOS_SEED={seed}")
    if database == SQLITE:
        report = run(tmp_path, SHORT, seed, None)
    else:
        with running_postgres() as postgres:
            report = run(tmp_path, SHORT, seed, postgres)
    print(report)
    assert not report.violations, str(report)
