"""`edgepack serve`: the whole service as one process tree."""

import logging
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.options import SERVER, SHARED, read_settings, start_logging, with_options
from edgepack.cli.state import DataFolder, Endpoints
from edgepack.settings import Settings
from edgepack.telemetry.readiness import Readiness

if TYPE_CHECKING:
    from edgepack.cli.monitoring import Monitoring
    from edgepack.database.engine import Database
    from edgepack.jobs.engine import WorkQueue
    from edgepack.keys.sealing import SecretBox
    from edgepack.wire.app import App

log = logging.getLogger(__name__)

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, not listened on
"""What a client on this machine connects to when the server listens on every address."""


@click.command("serve")
@with_options(*SERVER, *SHARED)
def serve_command(**flags: Any) -> None:
    """Run the service: the API, the embedded store and the workers.

    Prints one line when it is ready; SIGTERM or Ctrl-C ends it, and jobs that were running go on at the next start.
    Every option can also be set as EDGEPACK_<NAME> or in ./edgepack.toml.
    """
    settings = read_settings(flags)
    start_logging(settings, process="serve")
    Server(settings).run()


class Server:
    """One server: everything started in order, and ended in the reverse one.

    Args:
        settings: What to run.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = DataFolder(settings.data_folder)
        self._s3: str | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            SettingsError: The S3 endpoint has no access key.
            StateError: The data folder or the port is in use, the database cannot be reached or is a newer edgepack's,
                the store did not start, or traces are wanted without what sends them.
        """
        from edgepack.cli.checks import server_checks
        from edgepack.cli.children import Workers
        from edgepack.cli.monitoring import Monitoring
        from edgepack.database.engine import Database
        from edgepack.jobs.engine import WorkQueue
        from edgepack.objects.probe import require_reachable
        from edgepack.wire.server import ApiServer

        settings = self._settings
        own_store = None if settings.s3_endpoint is None else settings.own_store()
        monitoring = Monitoring(settings, process="serve", instance=f"{socket.gethostname()}-{os.getpid()}")
        self._folder.open()
        with ExitStack() as running:
            database = Database(settings.database_url)
            running.callback(database.close)
            secrets = _secrets(settings, database)
            key = _prepare(settings, database, secrets)
            work = WorkQueue(database)
            running.callback(work.close)
            # It listens from here on: a port that is taken ends the start before anything else is started.
            readiness = Readiness(server_checks(database, lambda: self._s3))
            server = ApiServer(
                _app(settings, database, secrets, work, monitoring, readiness),
                host=settings.host,
                port=settings.port,
                on_stop=readiness.drain,
                delay=settings.shutdown_delay,
            )
            monitoring.watch_connections(lambda: server.connections)
            running.callback(monitoring.close)
            s3 = own_store[0] if own_store else self._start_store(database, secrets, running)
            require_reachable(s3)
            self._s3 = s3
            workers = Workers(settings, count=settings.worker_count, store=None if own_store else (s3, key))
            running.callback(workers.stop)
            workers.start()
            server.run(on_ready=lambda port: self._announce(port, s3))

    def _start_store(self, database: "Database", secrets: "SecretBox", running: ExitStack) -> str:
        """Start the embedded store, which knows every key that does not end by itself; its URL."""
        from edgepack.cli.children import StoreKeeper
        from edgepack.objects.embedded import EmbeddedStore
        from edgepack.objects.weed_settings import StoreCredential
        from edgepack.service.credentials import long_term_keys

        settings, weed = self._settings, self._settings.weed
        keeper = StoreKeeper(
            EmbeddedStore(
                settings.data_folder / "store",
                port=settings.s3_port,
                credentials=[StoreCredential(*each) for each in long_term_keys(database, secrets)],
                region=settings.region,
                binary=Path(weed) if weed else None,
            )
        )
        running.callback(keeper.stop)
        return keeper.start()

    def _announce(self, port: int, s3: str) -> None:
        settings = self._settings
        api = f"http://{ANY_ADDRESS.get(settings.host, settings.host)}:{port}"
        self._folder.write_endpoints(
            Endpoints(
                api=api,
                s3=s3,
                kms=settings.kms_endpoint or api,
                region=settings.region,
                account_id=settings.account_id,
                database=settings.database,
            )
        )
        click.echo(f"edgepack ready api={api} s3={s3} console={api}/console")


def _app(  # noqa: PLR0913, PLR0917 - what an application is made of
    settings: Settings,
    database: "Database",
    secrets: "SecretBox",
    work: "WorkQueue",
    monitoring: "Monitoring",
    readiness: Readiness,
) -> "App":
    from edgepack.jobs.backlog import read_backlog
    from edgepack.jobs.workflow import system_clock
    from edgepack.service.context import Context
    from edgepack.service.credentials import CredentialLookup
    from edgepack.service.registry import build_operations
    from edgepack.wire.app import create_app

    context = Context(database=database, work=work, secrets=secrets, region=settings.region, clock=system_clock)
    operations = build_operations(context)
    monitoring.show_backlog(lambda: read_backlog(database))
    return create_app(
        operations=operations,
        lookup=CredentialLookup(database, secrets),
        lookup_inline=database.is_sqlite,
        region=settings.region,
        status=monitoring.pages(readiness),
        observers=monitoring.request_observers(operations),
    )


def _secrets(settings: Settings, database: "Database") -> "SecretBox":
    """The sealing key; keys are made only for a database without access keys: any other has a keys folder already.

    Raises:
        StateError: The keys folder is not the database's, or is incomplete. Nothing has been made or changed.
    """
    from edgepack.keys.sealing import SecretBox
    from edgepack.keys.signing import load_signer
    from edgepack.service.credentials import has_keys, require_keys_of

    if not has_keys(database):
        return SecretBox.open(settings.data_folder)
    secrets = SecretBox.load(settings.data_folder)
    require_keys_of(database, secrets)
    load_signer(settings.data_folder)
    return secrets


def _prepare(settings: Settings, database: "Database", secrets: "SecretBox") -> tuple[str, str]:
    """Migrate the database, make sure that signing keys and a first access key exist; the access key."""
    from datetime import UTC, datetime

    from edgepack.database.migrate import upgrade
    from edgepack.jobs.engine import migrate_engine
    from edgepack.jobs.workflow import system_clock
    from edgepack.keys.signing import ensure_signing_keys
    from edgepack.service.credentials import ensure_first_key

    upgrade(database)
    migrate_engine(settings.database_url)
    ensure_signing_keys(settings.data_folder, now=datetime.now(UTC))
    return ensure_first_key(database, secrets, account_id=settings.account_id, now=system_clock())
