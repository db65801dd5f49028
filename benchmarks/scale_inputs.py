"""A database with very many edge packaging jobs."""

import hashlib
from typing import Any

import msgspec
import sqlalchemy as sa

from describe_inputs import ACCOUNT, COMPILED, REGION, ROLE
from edgepack.contract.arns import edge_packaging_job_arn
from edgepack.contract.edge_packaging_jobs import EdgeOutputConfig
from edgepack.database import schema
from edgepack.database.edge_packaging_jobs import answer
from edgepack.database.engine import Database
from edgepack.database.records import MICROSECONDS, EdgePackagingJob

BATCH = 5_000
MINUTE = 100
"""Jobs created in one minute."""

OUTPUT = EdgeOutputConfig(s3_output_location="s3://models/packaged/")
SIGNATURE = "s" * 3_000
"""As long as a signature bundle of a few files."""

STATUSES = ("COMPLETED",) * 8 + ("FAILED", "STOPPED")


def name_of(number: int) -> str:
    """The job's name: a quarter of them begins with `job-a`, and each has ten characters that no other has."""
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return f"job-{'abcd'[number % 4]}{digest[:10]}"


def fill(database: Database, first: int, last: int) -> None:
    """Write the jobs from the first number to before the last one."""
    for start in range(first, last, BATCH):
        numbers = range(start, min(last, start + BATCH))
        with database.write() as connection:
            connection.execute(sa.insert(schema.edge_packaging_jobs), [_row(number) for number in numbers])
            connection.execute(
                sa.insert(schema.edge_packaging_job_answers),
                [{"job_id": number + 1, "describe": _answer(number)} for number in numbers],
            )
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE")


def _row(number: int) -> dict[str, Any]:
    name = name_of(number)
    created = number // MINUTE * 60 * MICROSECONDS + number % MINUTE
    return {
        "id": number + 1,
        "account_id": ACCOUNT,
        "name": name,
        "arn": edge_packaging_job_arn(REGION, ACCOUNT, name),
        "status": STATUSES[number * 7 % 10],
        "status_message": "Packaged and signed 5 files; the stored package of 104857600 bytes has been checked.",
        "compilation_job_name": "compiled",
        "compiled_model": msgspec.json.encode(COMPILED),
        "model_name": f"model-{number * 31 % 1000:03}",
        "model_version": "1.0",
        "role_arn": ROLE,
        "output_config": msgspec.json.encode(OUTPUT),
        "resource_key": None,
        "output_bucket": "models",
        "output_key": f"packaged/{name}-1.0.tar.gz",
        "created_at": created,
        "modified_at": created + number * 7919 % (10 * MICROSECONDS),
        "workflow_id": f"benchmark-{number}",
    }


def _answer(number: int) -> bytes:
    row = _row(number) | {"compiled_model": COMPILED, "output_config": OUTPUT}
    uri = f"s3://models/{row['output_key']}"
    return answer(EdgePackagingJob(**row), {"model_artifact": uri, "model_signature": SIGNATURE})
