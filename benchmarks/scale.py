"""How long Describe and every form of List take with a thousand, a hundred thousand and a million jobs.

A Describe is a signed request to the application in this process: all that a server does but the sockets. Of Lists the
operation itself is called, as a server's threads call it: the database, its client library and the making of the
answer. Each figure is the median of calls with different names, in microseconds; of Lists, the first page of 100 jobs
and the third one. Where a form finds fewer jobs among fewer, that is a part of its growth.

On SQLite in a folder, and on the PostgreSQL of the tests (`tests/postgres.py`), which keeps nothing across a power cut.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asgi import Client
from describe_inputs import ACCOUNT, REGION
from edgepack.contract.edge_packaging_jobs import ListEdgePackagingJobsRequest
from edgepack.database.engine import Database
from edgepack.database.migrate import upgrade
from edgepack.jobs.engine import WorkQueue, migrate_engine
from edgepack.keys.sealing import SecretBox
from edgepack.service.caller import Caller
from edgepack.service.context import Context
from edgepack.service.registry import build_operations
from postgres import POSTGRES, SQLITE, running_postgres
from reporting import goal_line, heading, machine, say
from scale_inputs import MINUTE, fill, name_of

SIZES, QUICK_SIZES = (1_000, 100_000, 1_000_000), (1_000, 10_000)
CALLS = 100
"""Calls of each form."""

DESCRIBE_GOAL, LIST_GOAL = 1.5, 3.0
"""Time with the most jobs over that with the fewest, at most."""

CALLER = Caller(ACCOUNT, REGION, f"arn:aws:iam::{ACCOUNT}:user/admin", "AIDA", "AKIA")
DESCRIBE = "Describe"
SIZE = "size of the database, bytes for each job"
PAGES_BEFORE = 2

Draw = Callable[[random.Random, int], dict[str, Any]]


def forms() -> Iterator[tuple[str, Draw]]:
    """Every form of List: a name, and what makes its members of a random generator and the number of jobs."""
    filters: dict[str, Draw] = {
        "FAILED": lambda _draw, _count: {"status_equals": "FAILED"},
        "of one minute": _minute,
        "of the second half": lambda _draw, count: {"creation_time_after": count // 2 / MINUTE * 60.0},
        "one name": lambda draw, count: {"name_contains": name_of(draw.randrange(count))[4:]},
        "a quarter of the names": lambda _draw, _count: {"name_contains": "job-a"},
        "no name": lambda _draw, _count: {"name_contains": "not-there"},
        "FAILED of a quarter of the names": lambda _draw, _count: {"name_contains": "job-a", "status_equals": "FAILED"},
    }
    for sort in ("NAME", "MODEL_NAME", "CREATION_TIME", "LAST_MODIFIED_TIME", "STATUS"):
        for order in ("Ascending", "Descending"):
            yield f"by {sort}, {order}", _with(lambda _draw, _count: {}, sort_by=sort, sort_order=order)
        for what, members in filters.items():
            yield f"{what}, by {sort}", _with(members, sort_by=sort)
    yield "one letter of all names", lambda _draw, _count: {"name_contains": "j"}
    yield "two letters of no name", lambda _draw, _count: {"name_contains": "qq"}
    yield "a model's name", lambda draw, _count: {"model_name_contains": f"model-{draw.randrange(1000):03}"}


def _with(members: Draw, **more: str) -> Draw:
    return lambda draw, count: members(draw, count) | more


def _minute(draw: random.Random, count: int) -> dict[str, Any]:
    start = draw.randrange(max(1, count // MINUTE)) * 60.0
    return {"creation_time_after": start, "creation_time_before": start + 60.0}


@contextmanager
def database_url(kind: str, folder: Path) -> Iterator[str]:
    """A new database."""
    if kind == SQLITE:
        yield f"sqlite:///{folder / 'edgepack.db'}"
        return
    with running_postgres() as postgres:
        yield postgres.new_database()


@contextmanager
def service(url: str, folder: Path) -> Iterator[tuple[Database, Any, Client]]:
    """A database of the present schema, the operations upon it, and a client of them."""
    database = Database(url)
    upgrade(database)
    migrate_engine(url)
    work = WorkQueue(url)
    try:
        secrets = SecretBox.open(folder)
        operations = build_operations(
            Context(database=database, work=work, secrets=secrets, region=CALLER.region, clock=lambda: 0)
        )
        client = Client(database, secrets, operations)
        yield database, operations, client
        client.close()
    finally:
        work.close()
        database.close()


def measure(operations: Any, client: Client, count: int) -> dict[str, float]:
    """The median of each form, in microseconds."""
    draw = random.Random(count)
    names = [{"EdgePackagingJobName": name_of(draw.randrange(count))} for _ in range(20 * CALLS)]
    found = {DESCRIBE: statistics.median(client.timed("DescribeEdgePackagingJob", names))}
    for name, members in forms():
        found[name] = _listed(operations, [members(draw, count) for _ in range(CALLS)])
    return found


def _listed(operations: Any, members: list[dict[str, Any]]) -> float:
    """Of the first page and the third one; a page that is not there is not counted."""
    call, times = operations["ListEdgePackagingJobs"].call, []
    for each in members:
        seconds, answer = _timed(call, ListEdgePackagingJobsRequest(**each))
        times.append(seconds)
        for _ in range(PAGES_BEFORE):
            if answer.next_token is None:
                break
            seconds, answer = _timed(call, ListEdgePackagingJobsRequest(**each, next_token=answer.next_token))
        else:
            times.append(seconds)
    return statistics.median(times)


def _timed(call: Callable[[Caller, Any], Any], request: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    answer = call(CALLER, request)
    return (time.perf_counter() - start) * 1e6, answer


def size_of(database: Database) -> int:
    """Bytes of the whole database, indexes included."""
    query = (
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        if database.is_sqlite
        else "SELECT pg_database_size(current_database())"
    )
    with database.read() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())


def table(kind: str, measured: dict[int, dict[str, float]]) -> str:
    """One database's figures as Markdown."""
    sizes = sorted(measured)
    lines = [f"| {kind}: µs | {' | '.join(f'{size:,}' for size in sizes)} | growth |", "|---" * (len(sizes) + 2) + "|"]
    for form in measured[sizes[0]]:
        figures = [measured[size][form] for size in sizes]
        lines.append(f"| {form} | {' | '.join(f'{one:,.0f}' for one in figures)} | {figures[-1] / figures[0]:.2f} |")
    return "\n".join(lines)


def goals(measured: dict[int, dict[str, float]]) -> list[str]:
    """Whether the times are flat."""
    least, most = min(measured), max(measured)
    growth = {form: measured[most][form] / measured[least][form] for form in measured[most] if form != SIZE}
    described = growth.pop(DESCRIBE)
    worst = max(growth, key=lambda form: growth[form])
    return [
        goal_line("growth of Describe, at most", described, DESCRIBE_GOAL, "x", met=described <= DESCRIBE_GOAL),
        goal_line(f"growth of List ({worst}), at most", growth[worst], LIST_GOAL, "x", met=growth[worst] <= LIST_GOAL),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SIZES[-1]} jobs at most")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="JOBS", help=f"default {SIZES}; 10000000 works too")
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRES), default=(SQLITE, POSTGRES))
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="where databases are made")
    parser.add_argument("--json", action="store_true", help="print JSON in place of Markdown")
    arguments = parser.parse_args()
    sizes = arguments.sizes or (QUICK_SIZES if arguments.quick else SIZES)
    everything: dict[str, dict[int, dict[str, float]]] = {}
    if not arguments.json:
        print(heading("Lists"))
    for kind in arguments.databases:
        with (
            tempfile.TemporaryDirectory(prefix="edgepack-bench-", dir=arguments.dir) as name,
            database_url(kind, Path(name)) as url,
            service(url, Path(name)) as (database, operations, client),
        ):
            measured = everything.setdefault(kind, {})
            done = 0
            for size in sorted(sizes):
                say(f"{kind}, {size:,} jobs")
                fill(database, done, size)
                done = size
                measured[size] = measure(operations, client, size) | {SIZE: size_of(database) / size}
        if not arguments.json:
            print(f"\n## {kind}\n\n{table(kind, measured)}\n")
            print("\n".join(goals(measured)), flush=True)
    if arguments.json:
        print(json.dumps({"machine": machine(), "measured": everything}, indent=2))


if __name__ == "__main__":
    main()
