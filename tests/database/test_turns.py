"""Whose job is next, where several accounts have jobs waiting."""

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.database import schema
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from rows import packaging_row

BIG, SMALL, LATE = "000000000000", "111111111111", "222222222222"
ACCOUNTS = (BIG, SMALL, LATE)


class Queue:
    """Jobs that are added, begun in their order, and ended."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.added = 0

    def add(self, account: str) -> None:
        self.added += 1
        with self.database.write() as connection:
            turn = edge_packaging_jobs.next_turn(
                connection, account, waiting={"STARTING"}, begun={"INPROGRESS", "STOPPING"}
            )
            row = packaging_row(f"job-{self.added}", account_id=account, turn=turn, created_at=self.added)
            edge_packaging_jobs.insert(connection, row)

    def begin(self) -> str:
        """The account whose job is begun: as the engine dequeues, by turn and then by age."""
        table = schema.edge_packaging_jobs
        query = sa.select(table.c.id, table.c.account_id).where(table.c.status == "STARTING")
        with self.database.write() as connection:
            self.end(connection)
            job_id, account = connection.execute(query.order_by(table.c.turn, table.c.created_at).limit(1)).one()
            edge_packaging_jobs.change(connection, job_id, expected={"STARTING"}, status="INPROGRESS")
        return str(account)

    def end(self, connection: sa.Connection) -> None:
        table = schema.edge_packaging_jobs
        running = sa.select(table.c.id).where(table.c.status == "INPROGRESS")
        for job_id in connection.execute(running).scalars().all():
            edge_packaging_jobs.change(connection, job_id, expected={"INPROGRESS"}, status="COMPLETED")


def test_a_thousand_jobs_do_not_keep_another_account_s_one_waiting(database: Database) -> None:
    queue = Queue(database)
    for _ in range(100):
        queue.add(BIG)
    queue.add(SMALL)
    assert [queue.begin(), queue.begin()] == [BIG, SMALL]


def test_accounts_with_jobs_waiting_take_turns(database: Database) -> None:
    queue = Queue(database)
    for account in (BIG, SMALL):
        for _ in range(4):
            queue.add(account)
    assert [queue.begin() for _ in range(8)] == [BIG, SMALL] * 4


def test_who_comes_late_gets_nothing_for_the_time_before(database: Database) -> None:
    queue = Queue(database)
    for _ in range(20):
        queue.add(BIG)
    for _ in range(10):
        queue.begin()
    for _ in range(10):
        queue.add(LATE)
    begun = [queue.begin() for _ in range(10)]
    assert begun.count(LATE) in {5, 6}


def test_who_always_has_one_more_does_not_starve_the_others(database: Database) -> None:
    queue = Queue(database)
    for _ in range(10):
        queue.add(BIG)
    begun = []
    for _ in range(20):
        queue.add(SMALL)
        queue.add(SMALL)
        begun.append(queue.begin())
    assert begun.count(BIG) >= 9


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.sampled_from([*ACCOUNTS, None, None]), max_size=60))
def test_nobody_who_waits_is_overtaken_twice_in_a_row(sqlite_database: Database, moves: list[str | None]) -> None:
    """Between two jobs of one account, every account that waited all along has had one."""
    queue, waiting = Queue(sqlite_database), dict.fromkeys(ACCOUNTS, 0)
    passed: dict[str, dict[str, int]] = {account: {} for account in ACCOUNTS}
    for move in moves:
        if move is not None:
            queue.add(move)
            waiting[move] += 1
        elif any(waiting.values()):
            begun = queue.begin()
            waiting[begun] -= 1
            for account in ACCOUNTS:
                if account == begun or not waiting[account]:
                    passed[account] = {}
                elif account != begun:
                    passed[account][begun] = passed[account].get(begun, 0) + 1
                    assert passed[account][begun] <= 2, (account, begun)
    with sqlite_database.write() as connection:
        for table in (schema.edge_packaging_job_answers, schema.edge_packaging_jobs):
            connection.execute(sa.delete(table))
