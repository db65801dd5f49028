"""The settings as command-line options: declared once, used by `serve`, `worker` and `env`."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edgepack.settings import Settings, load_settings

Command = TypeVar("Command", bound=Callable[..., Any])

DATA = click.option("--data", metavar="DIR", help="Folder of keys, database and embedded store [./edgepack-data].")
SERVER = (
    click.option("--host", help="Address to listen on [127.0.0.1]."),
    click.option("--port", type=int, help="The API's port; 0 takes any free one [8480]."),
    click.option("--s3-port", type=int, help="The embedded store's port; 0 takes any free one [8483]."),
    click.option("--workers", type=int, help="Worker processes; 0 for none, they run elsewhere [half the cores]."),
    click.option("--weed", metavar="FILE", help="A SeaweedFS binary to run in place of the one that comes along."),
    click.option("--account-id", metavar="DIGITS", help="Account of the first access key [000000000000]."),
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
    click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error [info]."),
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


def start_logging(level: str, *, process: str) -> None:
    """Log to stderr, one line an event, with the process's role in it."""
    logging.basicConfig(
        level=level.upper(), format=f"%(asctime)s {process} %(levelname)s %(name)s: %(message)s", force=True
    )
    # It advises anybody who asks for a protocol upgrade, at length, to install packages.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    for noisy in ("boto3", "botocore", "s3transfer", "urllib3", "alembic", "dbos"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
