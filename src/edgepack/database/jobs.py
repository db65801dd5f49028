"""What the two kinds of jobs share: a row, its stored Describe answer, and conditional changes of status."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from edgepack.database.schema import is_active

Job = TypeVar("Job")

TURN_MAX = 2**31 - 1
"""The engine's last priority. Jobs of the one account that came there would be begun in the order of their creation."""


class JobTable(Generic[Job]):
    """Queries over one kind of job; whatever Describe shows is written with its stored answer in one transaction.

    Args:
        table: The jobs' table.
        answers: The table of their Describe answers.
        read: Makes the record from a row.
        answer: Makes the Describe answer (JSON, ready to send) from the record and what a final state adds to it.
    """

    def __init__(
        self,
        table: sa.Table,
        answers: sa.Table,
        *,
        read: Callable[[RowMapping], Job],
        answer: Callable[[Job, Mapping[str, Any]], bytes],
    ) -> None:
        self.table = table
        self._answers = answers
        self._read = read
        self._answer = answer
        row = table.c
        self._by_name = sa.select(table).where(
            row.account_id == sa.bindparam("account"), row.name == sa.bindparam("name")
        )
        self._by_id = sa.select(table).where(row.id == sa.bindparam("job_id"))
        self._ownership = sa.select(row.status, row.attempt).where(row.id == sa.bindparam("job_id")).with_for_update()
        self.describe_query = (
            sa.select(answers.c.describe)
            .join(table, answers.c.job_id == row.id)
            .where(row.account_id == sa.bindparam("account"), row.name == sa.bindparam("name"))
        )

    def insert(self, connection: Connection, values: Mapping[str, Any]) -> Job:
        """Add a job and its first answer.

        Raises:
            sqlalchemy.exc.IntegrityError: The account has a job of this name.
        """
        row = connection.execute(sa.insert(self.table).values(**values).returning(self.table)).mappings().one()
        job = self._read(row)
        connection.execute(sa.insert(self._answers).values(job_id=row["id"], describe=self._answer(job, {})))
        return job

    def named(self, connection: Connection, account_id: str, name: str) -> Job | None:
        """The job of that name in the account."""
        return self._one(connection.execute(self._by_name, {"account": account_id, "name": name}).mappings().first())

    def by_id(self, connection: Connection, job_id: int) -> Job | None:
        """The job of that row id."""
        return self._one(connection.execute(self._by_id, {"job_id": job_id}).mappings().first())

    def ownership(self, connection: Connection, job_id: int) -> tuple[str | None, int]:
        """The job's status, and the attempt that may write: what a running job asks between chunks.

        In a transaction both stay as they are until its end.
        """
        row = connection.execute(self._ownership, {"job_id": job_id}).first()
        return (None, 0) if row is None else (row[0], row[1])

    def count(self, connection: Connection, account_id: str, statuses: Collection[str]) -> int:
        """How many of the account's jobs have one of the statuses."""
        row = self.table.c
        query = sa.select(sa.func.count()).where(row.account_id == account_id, row.status.in_(statuses))
        return connection.execute(query).scalar() or 0

    def any_in(self, connection: Connection, status: str) -> bool:
        """Whether any job, of whichever account, has the status."""
        query = sa.select(self.table.c.id).where(self.table.c.status == status).limit(1)
        return connection.execute(query).first() is not None

    def next_turn(
        self, connection: Connection, account_id: str, *, waiting: Collection[str], begun: Collection[str]
    ) -> int:
        """The turn of the account's next job: waiting jobs are begun in the order of their turns.

        An account's jobs have turns one behind the other, and its first one comes level with the job that was begun
        last. So accounts that have jobs waiting are served in turn, whoever has how many; and who has had none gets
        nothing for the time before. (Start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996.)

        Args:
            connection: A connection inside the transaction that adds the job.
            account_id: The account.
            waiting: Statuses of jobs that no worker has begun.
            begun: Statuses of jobs that a worker has.
        """
        row = self.table.c
        last = sa.func.coalesce(sa.func.max(row.turn), 0)
        of_begun = sa.select(last).where(row.status.in_(begun))
        of_account = sa.select(last).where(row.account_id == account_id, row.status.in_({*waiting, *begun}))
        served, own = (int(connection.execute(query).scalar_one()) for query in (of_begun, of_account))
        return min(max(served, own + 1), TURN_MAX)

    def change(
        self,
        connection: Connection,
        job_id: int,
        *,
        expected: Collection[str],
        attempt: int | None = None,
        outcome: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> Job | None:
        """Change the row if, and only if, its status is one of `expected`; the answer follows.

        Args:
            connection: A connection inside a transaction.
            job_id: The job's row id.
            expected: Statuses the change is allowed from.
            attempt: The attempt that makes the change, if it is one: a former attempt changes nothing any more.
            outcome: Members that a final state adds to the Describe answer.
            values: Columns to set.

        Returns:
            The changed job; None when the status was another one (somebody else was first) and nothing changed.
        """
        row = self.table.c
        conditions = [row.id == job_id, row.status.in_(expected)]
        if attempt is not None:
            conditions.append(row.attempt == attempt)
        update = sa.update(self.table).where(*conditions).values(**values).returning(self.table)
        changed = connection.execute(update).mappings().first()
        if changed is None:
            return None
        job = self._read(changed)
        answer = self._answer(job, outcome or {})
        connection.execute(sa.update(self._answers).where(self._answers.c.job_id == job_id).values(describe=answer))
        return job

    def begin_attempt(
        self, connection: Connection, *, after: str, workflow_id: str, died: bool, statuses: Collection[str]
    ) -> Job | None:
        """Start the next attempt at a job; from now on every write of the former one is refused.

        Args:
            connection: A connection inside a transaction.
            after: Workflow id of the attempt that has ended without ending the job.
            workflow_id: Workflow id of the new one.
            died: Whether that attempt's worker died.
            statuses: Statuses of jobs that have not ended.

        Returns:
            The job; None when it has ended, or is in the hands of another attempt already.
        """
        row = self.table.c
        update = (
            sa.update(self.table)
            .where(row.workflow_id == after, row.status.in_(statuses))
            .values(attempt=row.attempt + 1, deaths=row.deaths + int(died), workflow_id=workflow_id)
            .returning(self.table)
        )
        return self._one(connection.execute(update).mappings().first())

    def active_workflows(self, connection: Connection, *, after: int, limit: int) -> list[tuple[int, str]]:
        """Row and workflow ids of jobs that have not ended, of all accounts, by row id.

        Args:
            connection: A connection.
            after: The row id that they come after; 0 for the first ones.
            limit: How many at most.
        """
        row = self.table.c
        query = sa.select(row.id, row.workflow_id).where(is_active(row.status), row.id > after)
        return [(job_id, workflow) for job_id, workflow in connection.execute(query.order_by(row.id).limit(limit))]

    def described(self, connection: Connection, job_id: int) -> bytes:
        """The stored Describe answer of a job that is there."""
        query = sa.select(self._answers.c.describe).where(self._answers.c.job_id == job_id)
        return bytes(connection.execute(query).scalar_one())

    def delete(self, connection: Connection, job_id: int, *, expected: Collection[str]) -> bool:
        """Remove a job in one of the `expected` statuses, with its answer; whether there was one."""
        removal = sa.delete(self.table).where(self.table.c.id == job_id, self.table.c.status.in_(expected))
        return connection.execute(removal).rowcount == 1

    def accounts(self, connection: Connection) -> list[str]:
        """The accounts that have jobs."""
        return list(connection.execute(sa.select(self.table.c.account_id).distinct()).scalars())

    def unchanged_since(
        self, connection: Connection, account_id: str, *, before: int, statuses: Collection[str], limit: int
    ) -> list[Job]:
        """Some of the account's jobs that are in one of the statuses and were last changed before a time.

        Args:
            connection: A connection.
            account_id: Whose.
            before: Microseconds since the epoch.
            statuses: The statuses.
            limit: Jobs at most, the oldest first.
        """
        row = self.table.c
        query = sa.select(self.table).where(
            row.account_id == account_id, row.modified_at < before, row.status.in_(statuses)
        )
        return self.records(connection.execute(query.order_by(row.modified_at).limit(limit)).mappings().all())

    def count_unchanged_since(self, connection: Connection, *, before: int, statuses: Collection[str]) -> int:
        """How many jobs of all accounts that are."""
        row = self.table.c
        query = sa.select(sa.func.count()).where(row.modified_at < before, row.status.in_(statuses))
        return connection.execute(query).scalar_one()

    def records(self, rows: Collection[RowMapping]) -> list[Job]:
        """The records of rows that a listing read."""
        return [self._read(row) for row in rows]

    def _one(self, row: RowMapping | None) -> Job | None:
        return None if row is None else self._read(row)
