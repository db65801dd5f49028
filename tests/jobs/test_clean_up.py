"""What a job that ends without a result removes, in which order: what the store cannot do must not keep the rest."""

from collections.abc import Callable
from typing import Any

import pytest

from edgepack.database import components
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.records import ComponentVersion
from edgepack.jobs.attempt import Attempt, JobSupersededError
from edgepack.jobs.edge_packaging import EdgePackagingWork
from edgepack.objects.errors import StoreUnavailableError
from edgepack.objects.ports import draw_ports
from edgepack.objects.store import ObjectStore
from rows import packaging_row
from stores import REGION, RunningStore

ARN = "arn:aws:greengrass:us-east-1:000000000000:components:c:versions:1.0.0"


def published(database: Database) -> Callable[[ObjectStore], tuple[EdgePackagingWork, Attempt[Any]]]:
    """A running job that has published a component."""
    with database.write() as connection:
        job = edge_packaging_jobs.insert(connection, packaging_row("a", status="INPROGRESS"))
        component = ComponentVersion(
            arn=ARN,
            account_id=job.account_id,
            name="c",
            version="1.0.0",
            recipe=b"{}",
            source_arn=job.arn,
            created_at=1,
        )
        components.add(connection, component)

    def work_on(store: ObjectStore) -> tuple[EdgePackagingWork, Attempt[Any]]:
        unused: Any = None
        work = EdgePackagingWork(database, store=store, room=unused, signer=unused, trust=unused, clock=lambda: 1)
        attempt = Attempt(database, edge_packaging_jobs, lambda: 1, job_id=job.id, number=1)
        attempt.refresh()
        return work, attempt

    return work_on


def is_published(database: Database) -> bool:
    with database.read() as connection:
        return components.find(connection, ARN) is not None


def test_a_store_that_is_away_does_not_keep_the_component_published(database: Database) -> None:
    (port,) = draw_ports(1)
    away = ObjectStore(endpoint=f"http://127.0.0.1:{port}", region=REGION, access_key="a", secret_key="s")
    work, attempt = published(database)(away)
    with pytest.raises(StoreUnavailableError):
        work.clean_up(attempt)
    assert not is_published(database)


def test_another_attempt_s_component_is_not_removed(database: Database, weed: RunningStore) -> None:
    work, attempt = published(database)(weed.store)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE edge_packaging_jobs SET attempt = 2")
    with pytest.raises(JobSupersededError):
        work.clean_up(attempt)
    assert is_published(database)
