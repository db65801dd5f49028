"""`make chaos`: long runs on each database; what came of them is printed, and whether it was right is the exit code."""

import argparse
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from chaos.report import Report, Size
from chaos.run import run
from postgres import DATABASES, SQLITE, running_postgres


def main() -> int:
    """Run; 0 if nothing was violated."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--deeds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--database", choices=DATABASES, action="append", default=[])
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep what was left, and the logs, in DIR")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("EDGEPACK_", "AWS_", "BOTO_"))]:
        del os.environ[name]
    size = Size(jobs=options.jobs, workers=options.workers, deeds=options.deeds, seconds=options.seconds)
    reports = [_run(database, size, options.seed, options.keep) for database in options.database or DATABASES]
    return int(any(report.violations for report in reports))


def _run(database: str, size: Size, seed: int, keep: Path | None) -> Report:
    print(f"{database}: CHAOS_SEED={seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="edgepack-chaos-")) if keep is None else keep / database
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if database == SQLITE:
            report = run(folder, size, seed, None)
        else:
            with running_postgres() as postgres:
                report = run(folder, size, seed, postgres)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(report, flush=True)
    return report


if __name__ == "__main__":
    sys.exit(main())
