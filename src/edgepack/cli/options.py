"""The settings as command-line options: declared once, used by `serve`, `worker` and `env`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edgepack.settings import Settings, load_settings
from edgepack.telemetry.logs import configure_logging

Command = TypeVar("Command", bound=Callable[..., Any])

DATA = click.option("--data", metavar="DIR", help="Folder of keys, database and embedded store [./edgepack-data].")
SERVER = (
    click.option("--host", help="Address to listen on [127.0.0.1]."),
    click.option("--port", type=int, help="The API's port; 0 takes any free one [8480]."),
    click.option("--s3-port", type=int, help="The embedded store's port; 0 takes any free one [8483]."),
    click.option("--workers", type=int, help="Worker processes; 0 for none, they run elsewhere [half the cores]."),
    click.option("--weed", metavar="FILE", help="A SeaweedFS binary to run in place of the one that comes along."),
    click.option("--account-id", metavar="DIGITS", help="Account of the first access key [000000000000]."),
    click.option(
        "--shutdown-delay",
        type=float,
        metavar="SECONDS",
        help="Go on serving that long after SIGTERM while /readyz says no, for load balancers to turn away [0].",
    ),
)
WORKER = (click.option("--workers", type=int, help="How many, each a process of its own [1]."),)
SHARED = (
    DATA,
    click.option("--database", metavar="URL", help="postgresql://… in place of SQLite in the data folder."),
    click.option("--s3-endpoint", metavar="URL", help="An S3 endpoint in place of the embedded store."),
    click.option(
        "--s3-access-key-id", metavar="ID", help="Its access key; EDGEPACK_S3_SECRET_ACCESS_KEY has the secret."
    ),
    click.option("--kms-endpoint", metavar="URL", help="KMS endpoint that `edgepack env` prints."),
    click.option("--region", metavar="NAME", help="Region of this server [us-east-1]."),
    click.option(
        "--drain-seconds",
        type=float,
        metavar="SECONDS",
        help="How long a worker that is told to stop goes on with its job before it hands it over [5].",
    ),
    click.option(
        "--status-port",
        type=int,
        metavar="PORT",
        help="A worker answers /healthz, /readyz and /metrics there, several of them at this port and the next ones; "
        "0 takes any free ones, which the log tells [none].",
    ),
    click.option("--status-host", metavar="HOST", help="Address on which workers do so [127.0.0.1]."),
    click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error [info]."),
    click.option("--log-format", metavar="FORM", help="text, or json: one object a line [text]."),
    click.option(
        "--metrics",
        is_flag=True,
        default=None,
        help="Show Prometheus metrics at /metrics to anybody who reaches the port.",
    ),
    click.option(
        "--otlp-endpoint", metavar="URL", help="Send traces to this OpenTelemetry collector; needs edgepack[otel]."
    ),
)


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """A decorator that adds several options, in this order in the help text."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def read_settings(flags: dict[str, Any]) -> Settings:
    """The settings, from flags, environment and `./edgepack.toml`.

    Raises:
        SettingsError: One of them is unknown or malformed.
    """
    return load_settings(flags, environ=os.environ, folder=Path.cwd())


def start_logging(settings: Settings, *, process: str) -> dict[str, str]:
    """Log to stderr, one line an event, with the process's role in it.

    Returns:
        What stands in every line of the JSON form, to add to.
    """
    return configure_logging(settings.log_level, settings.log_format, process=process)
