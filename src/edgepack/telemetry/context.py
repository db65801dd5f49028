"""What the code that runs at this moment is about: the job or the request that every log line of it names.

It is kept in a context variable, so it follows a request through its task and a job through its steps. Threads start
with an empty context: whoever starts one for a job or a request runs its target in `contextvars.copy_context()`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

Value = str | int | float
Fields = dict[str, Value]
"""Field names as the JSON log has them: `job_arn`, `attempt`, `request_id`, `operation`, `account_id`."""

_NOTHING: Final[Fields] = {}
_fields: ContextVar[Fields] = ContextVar("edgepack_log_fields", default=_NOTHING)


@contextmanager
def bound(**fields: Value) -> Iterator[Fields]:
    """Let these fields stand in every log line of the block, beside those that stand there already.

    Yields:
        The fields of the block, to add to.
    """
    inner = {**_fields.get(), **fields}
    token = _fields.set(inner)
    try:
        yield inner
    finally:
        _fields.reset(token)


def begin(fields: Fields) -> None:
    """Let these fields, and no others, stand in every log line from here to the end of the task.

    For a request, which has a task of its own: it costs a tenth of what `bound` does.

    Args:
        fields: May be added to later.
    """
    _fields.set(fields)


def note(**fields: Value) -> None:
    """Add what has been found out to the fields of the block or task; without one, nothing happens."""
    present = _fields.get()
    if present is not _NOTHING:
        present.update(fields)


def current() -> Mapping[str, Value]:
    """The fields that stand in log lines here."""
    return _fields.get()
