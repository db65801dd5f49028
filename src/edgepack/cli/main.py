"""The `edgepack` command: a table of commands, each loaded when it is called."""

import importlib
import os
import sys
from typing import Any, NoReturn

import click

from edgepack import __version__
from edgepack.cli.terminal import message_shown, note, noting
from edgepack.errors import EdgepackError

COMMANDS = {
    "serve": ("edgepack.cli.serve", "serve_command", "Run the service: API, embedded store and workers."),
    "worker": ("edgepack.cli.worker", "worker_command", "Run jobs only, beside a server on this or another machine."),
    "env": ("edgepack.cli.env", "env_command", "Print the variables that point any AWS SDK at the server."),
    "package": ("edgepack.cli.package", "package_command", "Package and sign a compiled model, with no server."),
    "verify": ("edgepack.cli.verify", "verify_command", "Verify a package, offline."),
    "inspect": ("edgepack.cli.inspect", "inspect_command", "Show what a package says of itself, unverified."),
    "prune": ("edgepack.cli.prune", "prune_command", "Forget jobs that ended long ago; deletes nothing they wrote."),
    "backup": (
        "edgepack.cli.backup",
        "backup_command",
        "Save jobs, keys and objects to one file.",
    ),
    "restore": ("edgepack.cli.restore", "restore_command", "Make a data folder, and a database, from a backup."),
    "keys": ("edgepack.cli.keys", "keys_group", "Make a server's keys, and export their public part."),
}
"""Name, module, attribute, one line of help (here, so that listing the commands imports none of them)."""

EXIT_FAILURE = 1
EXIT_CODES = {"InvalidSettings": 2, "NotTold": 3}
"""Exit codes of errors, by their codes, that are not `EXIT_FAILURE`: for `verify` that one is a verdict."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command, imported."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The list of commands with their one-line helps."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edgepack")
def cli() -> None:
    """Edgepack packages compiled models for edge devices: signed, verifiable, behind SageMaker Edge Manager's API."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line.

    Exits 0 for success, 1 for a failure that its message explains, 2 for a usage error, 3 if what a command was asked
    could not be found out or told, 130 after Ctrl-C and 143 after SIGTERM.
    """
    _keep_standard_descriptors()
    try:
        result: Any = cli.main(args=arguments, prog_name="edgepack", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        vars(error)["message"] = message_shown(error.message)  # click repeats arguments as they are
        with noting():
            error.show(sys.stderr)
        sys.exit(error.exit_code)
    except EdgepackError as error:
        note(message_shown(error.diagnostics()))
        sys.exit(EXIT_CODES.get(error.code, EXIT_FAILURE))
    sys.exit(result if isinstance(result, int) else 0)


def _keep_standard_descriptors() -> None:
    """Where one of 0 to 2 is closed, a package would be opened under its number, and be written over by messages."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - standard error's
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the process's life
