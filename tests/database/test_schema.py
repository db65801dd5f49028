"""Migrations lead to the declared schema; rows are written with their answers, or not at all."""

import asyncio
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from edgepack.database import executors, outputs, schema
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database, DatabaseUnavailableError
from edgepack.database.migrate import alembic_config, upgrade
from edgepack.database.point_reads import PointRead
from edgepack.database.revision import REVISION, REVISIONS, SchemaError, require_current, revision_of
from edgepack.jobs import lifecycle
from postgres import PostgresServer
from rows import packaging_row


def described(database: Database, name: str) -> dict[str, Any]:
    async def read_once() -> dict[str, Any]:
        read = PointRead(database, edge_packaging_jobs.describe_query)
        answer: dict[str, Any] = msgspec.json.decode(read.value("000000000000", name))
        read.close()
        return answer

    return asyncio.run(read_once())


def test_the_replayed_migrations_equal_the_declared_schema(database: Database) -> None:
    options = {
        "version_table": "edgepack_schema_version",
        "compare_type": True,
        # Trigrams are the migrations' alone: each database has them in its own way.
        "include_name": lambda name, kind, _: (
            not (kind == "table" and "jobs_names" in name) and not str(name).endswith("_trigrams")
        ),
    }
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    upgrade(database)


def test_jobs_of_the_first_schema_survive_the_next_ones(database_url: str) -> None:
    database = Database(database_url)
    with database.write() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(sa.insert(schema.edge_packaging_jobs).values(**packaging_row("a")))
    upgrade(database)
    with database.read() as connection:
        job = edge_packaging_jobs.named(connection, "000000000000", "a")
    assert job is not None
    assert (job.name, job.source_fingerprint) == ("a", None)
    database.close()


def test_active_means_the_same_in_the_schema(database: Database) -> None:
    assert set(schema.FINAL_STATUSES) == lifecycle.FINAL
    statuses = sorted(lifecycle.NEXT)
    with database.write() as connection:
        for status in statuses:
            edge_packaging_jobs.insert(connection, packaging_row(status, status=status, workflow_id=status))
        found = edge_packaging_jobs.active_workflows(connection, after=0, limit=10)
        assert {workflow for _, workflow in found} == lifecycle.ACTIVE
        assert edge_packaging_jobs.active_workflows(connection, after=found[0][0], limit=1) == found[1:2]


def test_active_jobs_are_found_by_their_index(sqlite_database: Database) -> None:
    row = schema.edge_packaging_jobs.c
    query = sa.select(row.id).where(schema.is_active(row.status), row.id > 7).order_by(row.id).limit(10)
    sql = str(query.compile(sqlite_database.engine, compile_kwargs={"literal_binds": True}))
    with sqlite_database.read() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
    assert len(plan) == 1
    assert "ix_edge_packaging_jobs_active" in plan[0]


def test_an_answer_follows_its_row(database: Database) -> None:
    with database.write() as connection:
        job = edge_packaging_jobs.insert(connection, packaging_row("a"))
    assert described(database, "a")["LastModifiedTime"] == 1.5
    with database.write() as connection:
        changed = edge_packaging_jobs.change(
            connection,
            job.id,
            expected={"STARTING"},
            status="INPROGRESS",
            status_message="On it.",
            modified_at=2_000_001,
        )
    assert changed is not None
    answer = described(database, "a")
    assert answer["EdgePackagingJobStatus"] == "INPROGRESS"
    assert answer["EdgePackagingJobStatusMessage"] == "On it."
    assert answer["LastModifiedTime"] == 2.000001


def test_a_change_from_another_status_changes_nothing(database: Database) -> None:
    with database.write() as connection:
        job = edge_packaging_jobs.insert(connection, packaging_row("a"))
        assert edge_packaging_jobs.change(connection, job.id, expected={"STOPPING"}, status="STOPPED") is None
        assert edge_packaging_jobs.change(connection, job.id, expected={"STARTING"}, attempt=2, status="FAILED") is None
    assert described(database, "a")["EdgePackagingJobStatus"] == "STARTING"


def test_a_failed_transaction_leaves_neither_row_nor_answer(database: Database) -> None:
    def fail_after_insert() -> None:
        with database.write() as connection:
            edge_packaging_jobs.insert(connection, packaging_row("a"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_insert()
    with database.read() as connection:
        assert edge_packaging_jobs.named(connection, "000000000000", "a") is None
        assert (
            connection.execute(sa.select(sa.func.count()).select_from(schema.edge_packaging_job_answers)).scalar() == 0
        )


def test_a_name_is_taken_once_in_an_account(database: Database) -> None:
    with database.write() as connection:
        edge_packaging_jobs.insert(connection, packaging_row("a"))
        edge_packaging_jobs.insert(connection, packaging_row("a", account_id="111111111111"))
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        edge_packaging_jobs.insert(connection, packaging_row("a", workflow_id="w2"))


def test_a_place_has_one_writer(database: Database) -> None:
    with database.write() as connection:
        assert outputs.claim(connection, "bucket/key", "one")
        assert not outputs.claim(connection, "bucket/key", "two")
        assert outputs.claim(connection, "bucket/other", "two")
        outputs.release(connection, "one")
        assert outputs.claim(connection, "bucket/key", "two")
        assert not outputs.claim(connection, "bucket/other", "one")


def test_a_place_keeps_its_holder_while_another_job_writes(database: Database) -> None:
    with database.write() as connection:
        assert outputs.holder(connection, "bucket/key") is None
        outputs.claim(connection, "bucket/key", "one")
        outputs.set_holder(connection, "bucket/key", "one")
        outputs.release(connection, "one")
        outputs.claim(connection, "bucket/key", "two")
        assert outputs.holder(connection, "bucket/key") == "one"


def test_a_lease_has_one_holder(database: Database) -> None:
    with database.write() as connection:
        assert executors.take_lease(connection, "reaper", "one", duration=60_000_000)
        assert not executors.take_lease(connection, "reaper", "two", duration=60_000_000)
        assert executors.take_lease(connection, "reaper", "one", duration=-1)
        assert executors.take_lease(connection, "reaper", "two", duration=60_000_000)


def test_who_beats_is_alive_until_silent(database: Database) -> None:
    with database.write() as connection:
        executors.heartbeat(connection, "one")
        executors.heartbeat(connection, "one")
        assert executors.alive(connection, within=60_000_000) == {"one"}
        assert executors.silent(connection, beyond=60_000_000) == set()
        assert executors.silent(connection, beyond=-60_000_000) == {"one"}
        executors.retire(connection, "one")
        assert executors.silent(connection, beyond=-60_000_000) == set()


@pytest.mark.parametrize("url", ["mysql://x/y", "not a url", "sqlite:////no/such/folder/x.db"])
def test_a_database_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(DatabaseUnavailableError):
        upgrade(Database(url))


def test_the_revisions_are_those_of_the_migrations(database: Database) -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(REVISIONS))
    assert scripts.get_current_head() == REVISION
    with database.read() as connection:
        assert revision_of(connection) == REVISION
    require_current(database)


def test_a_role_that_may_make_no_tables_is_told_so(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    role = f"reader_{url.rpartition('_')[2][:8]}"
    postgres.execute(f"CREATE ROLE {role} LOGIN")
    database = Database(url.replace("postgres@", f"{role}@"))
    with pytest.raises(SchemaError, match="may not make tables") as raised:
        upgrade(database)
    assert "owner" in raised.value.advice
    database.close()
