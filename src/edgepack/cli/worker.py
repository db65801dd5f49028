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
    from edgepack.jobs.worker import Worker


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
    start_logging(settings.log_level, process="worker")
    count = settings.workers or 1
    if count > 1:
        run_workers(settings, count)
    else:
        run_worker(settings, embedded_store=embedded_store)


def run_workers(settings: Settings, count: int) -> None:
    """Run several workers, each in a process of its own, until SIGTERM or SIGINT.

    Args:
        settings: What to work on.
        count: How many.
    """
    from edgepack.cli.children import Workers, signals_handled

    told_to_stop: SimpleQueue[None] = SimpleQueue()
    workers = Workers(settings, count=count)
    with signals_handled(lambda: told_to_stop.put(None)):
        workers.start()
        told_to_stop.get()
        workers.stop()


def run_worker(settings: Settings, *, embedded_store: bool) -> None:
    """Run one worker in this process until SIGTERM or SIGINT.

    Args:
        settings: What to work on.
        embedded_store: Whether the endpoint in the settings is that of the data folder's own store.

    Raises:
        StateError: There is no store or no signing key, or the store or the database cannot be reached.
    """
    from edgepack.cli.memory import keep_small
    from edgepack.compilers.confinement import landlock_version

    keep_small()
    if landlock_version() < 1:
        logging.getLogger(__name__).warning("this kernel has no Landlock: compilers may read what this worker may")
    worker = _worker(settings, embedded=embedded_store or settings.s3_endpoint is None)
    for number in LEAVING_SIGNALS:
        signal.signal(number, lambda *_: worker.stop())
    worker.run()
    logging.shutdown()
    # Not sys.exit: a job that is running would be waited for. It has been handed on, and may not go on writing.
    os._exit(0)


def _worker(settings: Settings, *, embedded: bool) -> "Worker":
    from edgepack.cli.state import open_store
    from edgepack.database.engine import Database
    from edgepack.jobs.compilation import CompilationWork
    from edgepack.jobs.disk_room import DiskRoom
    from edgepack.jobs.edge_packaging import EdgePackagingWork
    from edgepack.jobs.scratch import Scratch
    from edgepack.jobs.worker import Worker
    from edgepack.jobs.workflow import system_clock
    from edgepack.keys.signing import export_trust, load_signer
    from edgepack.package.trust import TrustRoots

    database = Database(settings.database_url)
    store = open_store(settings, database)
    room = DiskRoom(settings.data_folder if embedded else None)
    return Worker(
        database,
        packaging=EdgePackagingWork(
            database,
            store=store,
            room=room,
            signer=load_signer(settings.data_folder),
            trust=TrustRoots.from_pem(export_trust(settings.data_folder)),
            clock=system_clock,
        ),
        compilation=CompilationWork(
            database, store=store, room=room, scratch=Scratch(settings.data_folder / "scratch"), clock=system_clock
        ),
        drain_seconds=settings.drain_seconds,
    )
