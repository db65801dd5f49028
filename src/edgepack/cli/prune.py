"""`edgepack prune`: forget jobs that ended long ago."""

import json
import re
import time
from datetime import UTC, datetime

import click

from edgepack.cli.options import DATA, read_settings
from edgepack.cli.state import existing_database
from edgepack.cli.terminal import telling

_AGE = re.compile(r"([0-9]{1,6})([dh])", re.ASCII)
_SECONDS = {"d": 86_400, "h": 3_600}


@click.command("prune")
@DATA
@click.option("--database", metavar="URL", help="postgresql://… in place of SQLite in the data folder.")
@click.option("--older-than", required=True, metavar="AGE", help="Days or hours since jobs have ended: 90d, 12h.")
@click.option("--dry-run", is_flag=True, help="Only tell how many there are.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def prune_command(data: str | None, database: str | None, *, older_than: str, dry_run: bool, as_json: bool) -> None:
    """Forget jobs that ended long ago, with their tags. No package, compiled model or component is deleted.

    Works beside a running server. Jobs that wait or run are never forgotten.
    """
    from edgepack.database.records import MICROSECONDS
    from edgepack.database.revision import require_current
    from edgepack.jobs.pruning import prune

    before = time.time() - _seconds(older_than)
    with existing_database(read_settings({"data": data, "database": database})) as opened:
        require_current(opened)
        counts = prune(opened, before=int(before * MICROSECONDS), dry_run=dry_run)
    with telling():
        click.echo(_as_json(counts, before, dry_run=dry_run) if as_json else _as_text(counts, before, dry_run=dry_run))


def _seconds(age: str) -> int:
    matched = _AGE.fullmatch(age)
    if matched is None:
        raise click.BadParameter(f"{age!r} is no age; 90d is ninety days, 12h twelve hours.", param_hint="--older-than")
    return int(matched[1]) * _SECONDS[matched[2]]


def _as_json(counts: dict[str, int], before: float, *, dry_run: bool) -> str:
    forgotten = {f"{kind.replace(' ', '_')}s": count for kind, count in counts.items()}
    ended_before = datetime.fromtimestamp(before, UTC).isoformat(timespec="seconds")
    return json.dumps({"ended_before": ended_before, "dry_run": dry_run, "forgotten": forgotten}, indent=2)


def _as_text(counts: dict[str, int], before: float, *, dry_run: bool) -> str:
    told = " and ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items())
    when = f"{datetime.fromtimestamp(before, UTC):%Y-%m-%d %H:%M} UTC"
    if dry_run:
        return f"would forget {told} that ended before {when}"
    return f"forgot {told} that ended before {when}; what they wrote stays where it is"
