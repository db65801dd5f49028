"""The two forms of the log, one line an event: text for people, JSON for programs.

Whatever is logged may repeat what a stranger sent: a model's name, a key, a header, the text of a library's exception.
In neither form can it begin a line of its own: control characters are escaped, and in the text form every line of a
traceback stands behind a bar, where no event begins.
"""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from edgepack.telemetry.context import Value, current

log = logging.getLogger(__name__)

TEXT: Final = "text"
JSON: Final = "json"

NOISY: Final = (
    "boto3",
    "botocore",
    "s3transfer",
    "urllib3",
    "alembic",
    "dbos",
    "sqlalchemy",
    "opentelemetry",
    "asyncio",
)
"""Libraries whose debug and info lines are for their makers, and may hold headers and SQL parameters: secrets, too."""

TRACEBACK_BAR: Final = "  | "

_SHOWN_IN_TEXT: Final = {"job_arn": "job", "attempt": "attempt", "request_id": "request", "operation": "operation"}
"""Fields that the text form shows, and under which names; one look at a person's screen must be enough."""


def one_line(text: str) -> str:
    """Text without anything that ends a line or steers a terminal: such characters are escaped as Python does."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


class TextFormatter(logging.Formatter):
    """`2026-11-26T03:59:44.123Z worker INFO edgepack.jobs.workflow [job=arn:… attempt=1]: message`.

    Args:
        process: The process's role, `serve` or `worker`.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One event as one line, and behind a bar the lines of its traceback."""
        shown = " ".join(
            f"{name}={one_line(str(value))}"
            for field, name in _SHOWN_IN_TEXT.items()
            if (value := _fields_of(record).get(field)) is not None
        )
        about = f" [{shown}]" if shown else ""
        head = f"{_time(record)} {self._process} {record.levelname} {one_line(record.name)}{about}"
        lines = [f"{head}: {one_line(record.getMessage())}"]
        if trace := _traceback(record):
            lines += [TRACEBACK_BAR + one_line(line) for line in trace.split("\n")]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `process`, `message`, what it is about, and `exception`.

    Args:
        process: The process's role.
        fields: What stands in every line, such as a worker's `executor_id`; may be added to later.
    """

    def __init__(self, process: str, fields: Mapping[str, str]) -> None:
        super().__init__()
        self._process = process
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        """One event as one line of ASCII."""
        event: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            **self._fields,
            **_fields_of(record),
            "message": record.getMessage(),
        }
        if trace := _traceback(record):
            event["exception"] = trace
        # ASCII, so that a reader which takes U+2028 or U+0085 for the end of a line cannot be deceived either.
        return json.dumps(event, ensure_ascii=True, default=str)


def configure_logging(level: str, form: str, *, process: str) -> dict[str, str]:
    """Log to standard error in one form; also Python's warnings, and exceptions that nobody catches.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: `TEXT` or `JSON`.
        process: The process's role.

    Returns:
        What stands in every JSON line, to add to.
    """
    fields: dict[str, str] = {}
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter(process) if form == TEXT else JsonFormatter(process, fields))
    handler.addFilter(_with_context)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    # It advises anybody who asks for a protocol upgrade, at length, to install packages.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
    return fields


def _with_context(record: logging.LogRecord) -> bool:
    """Note with an event what the code that logged it is about: a handler may write it on another thread."""
    record.edgepack_fields = dict(current())
    return True


def _fields_of(record: logging.LogRecord) -> Mapping[str, Value]:
    fields: Mapping[str, Value] = getattr(record, "edgepack_fields", {})
    return fields


def _time(record: logging.LogRecord) -> str:
    """RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0] is not None:
        return "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
    return ""


def _log_uncaught(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    log.critical("the process ends by an exception", exc_info=error)


def _log_uncaught_in_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None and not isinstance(failure.exc_value, SystemExit):
        name = failure.thread.name if failure.thread else "?"
        log.error("the thread %s ended by an exception", name, exc_info=failure.exc_value)
