"""`edgepack worker`: runs jobs, beside a server on this or another machine."""

import logging
import os
import signal
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.leaving import LEAVING_SIGNALS
from edgepack.cli.options import SHARED, WORKER, read_settings, start_logging, with_options
from edgepack.settings import Settings

if TYPE_CHECKING:
    from edgepack.database.engine import Database
    from edgepack.jobs.worker import Worker
    from edgepack.telemetry.observers import JobObserver


@click.command("worker")
@with_options(*WORKER, *SHARED)
@click.option("--embedded-store", is_flag=True, hidden=True)
def worker_command(*, embedded_store: bool, **flags: Any) -> None:
    """Run edge packaging jobs and compilation jobs until SIGTERM.

    Any number of workers may run. Beside a server, --data is all it takes. On another machine a worker needs --database
    and --s3-endpoint with its access key, and a copy of the folder `keys` of the server's data folder in its own.

    At SIGTERM or Ctrl-C no other job is begun; what is under way may end within --drain-seconds, and is then handed
    over to another worker. The second signal hands it over at once.
    """
    settings = read_settings(flags)
    log_fields = start_logging(settings, process="worker")
    count = settings.workers or 1
    if count > 1:
        run_workers(settings, count)
    else:
        run_worker(settings, embedded_store=embedded_store, log_fields=log_fields)


def run_workers(settings: Settings, count: int) -> None:
    """Run several workers, each in a process of its own, until SIGTERM or SIGINT.

    Args:
        settings: What to work on.
        count: How many.

    Raises:
        TracingMissingError: Traces are wanted without what sends them.
    """
    from edgepack.cli.children import Workers, signals_handled
    from edgepack.cli.monitoring import require_tracing

    require_tracing(settings)
    told_to_stop: SimpleQueue[None] = SimpleQueue()
    workers = Workers(settings, count=count)
    with signals_handled(lambda: told_to_stop.put(None)):
        workers.start()
        told_to_stop.get()
        workers.stop()


def run_worker(settings: Settings, *, embedded_store: bool, log_fields: dict[str, str]) -> None:
    """Run one worker in this process until SIGTERM or SIGINT.

    Args:
        settings: What to work on.
        embedded_store: Whether the endpoint in the settings is that of the data folder's own store.
        log_fields: What stands in every line of the JSON log; the worker's id is added.

    Raises:
        StateError: There is no store or no key, the keys are not those of the database, the database has another schema
            than this version's, the store or the database cannot be reached, the status port is taken, or traces are
            wanted without what sends them.
    """
    from edgepack.cli.checks import worker_checks
    from edgepack.cli.memory import keep_small
    from edgepack.cli.monitoring import Monitoring
    from edgepack.compilers.confinement import landlock_version
    from edgepack.database.engine import WORKER_CONNECTIONS_KEPT, Database
    from edgepack.jobs.engine import new_executor_id

    keep_small()
    if landlock_version() < 1:
        logging.getLogger(__name__).warning("this kernel has no Landlock: compilers may read what this worker may")
    log_fields["executor_id"] = executor_id = new_executor_id()
    monitoring = Monitoring(settings, process="worker", instance=executor_id)
    embedded = embedded_store or settings.s3_endpoint is None
    database = Database(settings.database_url, kept=WORKER_CONNECTIONS_KEPT)
    worker = _worker(settings, database, executor_id, embedded=embedded, observer=monitoring.job_observer())
    readiness = monitoring.listen(worker_checks(database, worker))

    def stop(*_: object) -> None:
        readiness.drain()
        worker.stop()

    for number in LEAVING_SIGNALS:
        signal.signal(number, stop)
    worker.run()
    monitoring.close()
    logging.shutdown()
    # Not sys.exit: a job that is running would be waited for. It has been handed on, and may not go on writing.
    os._exit(0)


def _worker(
    settings: Settings, database: "Database", executor_id: str, *, embedded: bool, observer: "JobObserver"
) -> "Worker":
    from edgepack.cli.state import open_store
    from edgepack.jobs.compilation import CompilationWork
    from edgepack.jobs.disk_room import DiskRoom
    from edgepack.jobs.edge_packaging import EdgePackagingWork
    from edgepack.jobs.scratch import Scratch
    from edgepack.jobs.worker import Worker
    from edgepack.jobs.workflow import system_clock
    from edgepack.keys.sealing import SecretBox
    from edgepack.keys.signing import export_trust, load_signer
    from edgepack.package.trust import TrustRoots
    from edgepack.service.credentials import require_keys_of

    store = open_store(settings, database)
    signer = load_signer(settings.data_folder)
    require_keys_of(database, SecretBox.load(settings.data_folder))
    room, scratch = DiskRoom(settings.data_folder if embedded else None), Scratch(settings.data_folder / "scratch")
    return Worker(
        database,
        packaging=EdgePackagingWork(
            database,
            store=store,
            room=room,
            signer=signer,
            trust=TrustRoots.from_pem(export_trust(settings.data_folder)),
            clock=system_clock,
            observer=observer,
        ),
        compilation=CompilationWork(
            database,
            store=store,
            room=room,
            scratch=scratch,
            clock=system_clock,
            observer=observer,
        ),
        drain_seconds=settings.drain_seconds,
        executor_id=executor_id,
    )
