"""Lists page by page are what sorting and filtering all rows gives, whichever way a page is found."""

import random
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
import sqlalchemy as sa

from edgepack.database import listing as listing_module
from edgepack.database import schema
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.listing import Key, Listing, page
from rows import packaging_row

ACCOUNT, OTHER = "000000000000", "111111111111"
STATUSES = ("STARTING", "COMPLETED", "FAILED")
ORDERS = ("name", "created_at", "modified_at", "model_name", "status")
PARTS = ("resnet", "Res", "-1", "e", "zzz", "absent", "t-0")
ROWS = 150


@pytest.fixture
def jobs(database: Database) -> Database:
    """Many jobs with few different values, of two accounts."""
    draw = random.Random(7)
    with database.write() as connection:
        for number in range(ROWS):
            row = packaging_row(
                f"{draw.choice(['resnet', 'Resnet', 'bert', 'zzz'])}-{number}",
                account_id=ACCOUNT if draw.random() < 0.8 else OTHER,
                status=draw.choice(STATUSES),
                model_name=draw.choice(["resnet-50", "ResNet", "bert-0", "bert-1"]),
                created_at=draw.randrange(20),
                modified_at=draw.randrange(200),
            )
            edge_packaging_jobs.insert(connection, row)
    return database


@pytest.fixture(params=["few", "many", "walked", "as it is"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which way pages are found, made likely in a small table."""
    small = {
        "few": {"FEW": 40},
        "many": {"FEW": 0, "CHUNK": 7, "MANY": 40, "EXAMINED_MAX": 25},
        "walked": {"FEW": 0, "CHUNK": 7, "MANY": 0, "EXAMINED_MAX": 25},
        "as it is": {},
    }
    for name, value in small[request.param].items():
        monkeypatch.setattr(listing_module, name, value)
    return str(request.param)


def drawn(seed: int) -> Listing:
    draw = random.Random(seed)
    return Listing(
        table=schema.edge_packaging_jobs,
        account_id=ACCOUNT,
        order=draw.choice(ORDERS),
        descending=draw.random() < 0.5,
        status=draw.choice([None, None, *STATUSES]),
        windows={
            column: (draw.choice([None, draw.randrange(most)]), draw.choice([None, draw.randrange(most)]))
            for column, most in (("created_at", 20), ("modified_at", 200))
            if draw.random() < 0.4
        },
        texts={column: draw.choice(PARTS) for column in ("name", "model_name") if draw.random() < 0.4},
    )


def belongs(row: Any, listing: Listing) -> bool:
    inside = all(
        (after is None or row[column] > after) and (before is None or row[column] < before)
        for column, (after, before) in listing.windows.items()
    )
    return (
        row["account_id"] == listing.account_id
        and listing.status in {None, row["status"]}
        and inside
        and all(text in row[column] for column, text in listing.texts.items())
    )


def expected(database: Database, listing: Listing) -> list[int]:
    with database.read() as connection:
        rows = connection.execute(sa.select(schema.edge_packaging_jobs)).mappings().all()
    chosen = [row for row in rows if belongs(row, listing)]
    ordered = sorted(chosen, key=lambda row: (row[listing.order], row["id"]), reverse=listing.descending)
    return [row["id"] for row in ordered]


def pages(database: Database, listing: Listing, limit: int) -> Iterator[list[int]]:
    after: Key | None = None
    with database.read() as connection:
        while True:
            rows, after = page(connection, listing, after=after, limit=limit)
            yield [row["id"] for row in rows]
            if after is None:
                return


def test_pages_together_are_the_list(jobs: Database, way: str) -> None:
    for seed in range(60):
        listing, limit = drawn(seed), 1 + seed % 9
        found = list(pages(jobs, listing, limit))
        assert list(chain(*found)) == expected(jobs, listing), (seed, way)
        assert all(len(each) <= limit for each in found)


def test_only_a_walk_that_is_long_gives_a_short_page(jobs: Database) -> None:
    for seed in range(60):
        *full, _ = list(pages(jobs, drawn(seed), 5))
        assert all(len(each) == 5 for each in full), seed


def test_a_name_that_is_gone_is_not_found(jobs: Database) -> None:
    listing = Listing(
        table=schema.edge_packaging_jobs, account_id=ACCOUNT, order="name", descending=False, texts={"name": "zzz"}
    )
    before = expected(jobs, listing)
    with jobs.write() as connection:
        edge_packaging_jobs.delete(connection, before[0], expected=STATUSES)
    assert list(chain(*pages(jobs, listing, 100))) == before[1:]


def test_names_sort_by_their_bytes(jobs: Database) -> None:
    with jobs.read() as connection:
        rows, _ = page(
            connection,
            Listing(table=schema.edge_packaging_jobs, account_id=ACCOUNT, order="name", descending=False),
            after=None,
            limit=ROWS,
        )
    names = [row["name"] for row in rows]
    assert names == sorted(names)
    assert names[0].startswith("Resnet")
