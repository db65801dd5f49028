"""What `/readyz` checks: a server's database, schema and store; a worker's database, engine and heartbeat."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgepack.telemetry.readiness import Check, NotReadyError

if TYPE_CHECKING:
    from edgepack.database.engine import Database
    from edgepack.jobs.worker import Worker


def server_checks(database: "Database", s3: Callable[[], str | None]) -> dict[str, Check]:
    """The checks of a server.

    Args:
        database: Its database.
        s3: Where its store is; None while that is not known.
    """
    return {
        "database": lambda: require_database(database),
        "schema": lambda: require_schema(database),
        "object_store": lambda: require_store(s3()),
    }


def worker_checks(database: "Database", worker: "Worker") -> dict[str, Check]:
    """The checks of a worker."""
    return {
        "database": lambda: require_database(database),
        "engine": lambda: require_launched(worker),
        "heartbeat": lambda: require_heartbeat(database, worker.executor_id),
    }


def require_database(database: "Database") -> None:
    """The database answers.

    Raises:
        NotReadyError: It does not.
    """
    from edgepack.database.engine import DatabaseUnavailableError

    try:
        with database.read() as connection:
            connection.exec_driver_sql("SELECT 1")
    except DatabaseUnavailableError as error:
        raise NotReadyError("does not answer") from error


def require_schema(database: "Database") -> None:
    """The database has the schema that this code needs.

    Raises:
        NotReadyError: It has an older or a newer one, or does not answer.
    """
    from edgepack.database.engine import DatabaseUnavailableError
    from edgepack.database.revision import REVISION, revision_of

    try:
        with database.read() as connection:
            present = revision_of(connection)
    except DatabaseUnavailableError as error:
        raise NotReadyError("not known") from error
    if present != REVISION:
        raise NotReadyError(f"at {present or 'none'}, needed is {REVISION}")


def require_store(s3: str | None) -> None:
    """The object store answers.

    Raises:
        NotReadyError: It does not.
    """
    from edgepack.errors import StateError
    from edgepack.objects.probe import require_answering

    if s3 is None:
        raise NotReadyError("not started")
    try:
        require_answering(s3)
    except StateError as error:
        raise NotReadyError("does not answer") from error


def require_launched(worker: "Worker") -> None:
    """The worker's engine takes jobs.

    Raises:
        NotReadyError: Not yet.
    """
    if not worker.launched:
        raise NotReadyError("not launched")


def require_heartbeat(database: "Database", executor_id: str) -> None:
    """The worker's heartbeat has been recorded so lately that nobody takes it for dead.

    Raises:
        NotReadyError: It has not, or the database does not answer.
    """
    from edgepack.database import executors
    from edgepack.database.engine import DatabaseUnavailableError
    from edgepack.jobs.reaper import SILENCE_MICROSECONDS

    try:
        with database.read() as connection:
            living = executors.alive(connection, within=SILENCE_MICROSECONDS)
    except DatabaseUnavailableError as error:
        raise NotReadyError("not known") from error
    if executor_id not in living:
        raise NotReadyError("none lately")
