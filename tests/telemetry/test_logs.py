"""Both forms of the log: what stands in a line, and that nobody can forge one."""

import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from datetime import datetime

import pytest

from edgepack.objects import reading
from edgepack.objects.address import S3Address
from edgepack.objects.info import ObjectInfo
from edgepack.package.scan import scan_archive
from edgepack.telemetry.context import begin, bound, current, note
from edgepack.telemetry.logs import JSON, TEXT, JsonFormatter, TextFormatter
from models import compiled_archive

ARN = "arn:aws:sagemaker:us-east-1:000000000000:edge-packaging-job/a"
EVENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z worker [A-Z]+ [\w.]+( \[.*\])?: ")
FORGED = "2026-11-26T04:17:46.713Z worker INFO edgepack.jobs.worker: all is well"
LINE_ENDS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x1b[2K\x1b[1A", "\x00"]

log = logging.getLogger("edgepack.tests")
log.propagate = False
log.setLevel(logging.DEBUG)


def logged(formatter: logging.Formatter, tell: Callable[[], object]) -> str:
    """What a handler with this formatter writes."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            record.edgepack_fields = dict(current())
            lines.append(self.format(record))

    handler = Handler()
    handler.setFormatter(formatter)
    log.addHandler(handler)
    try:
        tell()
    finally:
        log.removeHandler(handler)
    return "\n".join(lines)


def as_text(tell: Callable[[], object]) -> str:
    return logged(TextFormatter("worker"), tell)


def as_json(tell: Callable[[], object]) -> dict[str, object]:
    written = logged(JsonFormatter("worker", {"executor_id": "host-1"}), tell)
    assert written.isascii()
    assert "\n" not in written
    found: dict[str, object] = json.loads(written)
    return found


def test_a_line_of_text_tells_when_who_and_of_what() -> None:
    with bound(attempt=2):
        note(job_arn=ARN)
        line = as_text(lambda: log.info("failed: %s", "no such bucket"))
    assert re.fullmatch(EVENT.pattern + re.escape("failed: no such bucket"), line)
    assert f" worker INFO edgepack.tests [job={ARN} attempt=2]: " in line


def test_a_line_of_json_has_a_field_for_each() -> None:
    with bound(job_arn=ARN, attempt=2):
        event = as_json(lambda: log.warning("failed"))
    time = datetime.fromisoformat(str(event.pop("time")))
    assert time.utcoffset() is not None
    assert time.microsecond % 1000 == 0
    assert event == {
        "level": "warning",
        "logger": "edgepack.tests",
        "process": "worker",
        "executor_id": "host-1",
        "job_arn": ARN,
        "attempt": 2,
        "message": "failed",
    }


def failing_with(text: str) -> None:
    def fail() -> None:
        raise ValueError(text)

    try:
        fail()
    except ValueError:
        log.exception("failed on a defect")


def test_an_exception_is_one_field() -> None:
    event = as_json(lambda: failing_with("first\nsecond"))
    assert str(event["exception"]).endswith("ValueError: first\nsecond")
    assert event["message"] == "failed on a defect"


@pytest.mark.parametrize("end", LINE_ENDS)
def test_no_logged_value_begins_a_line(end: str) -> None:
    text = f"innocent{end}{FORGED}"

    def tell() -> None:
        log.info("%s", text)
        with bound(job_arn=text, request_id=text):
            log.info("about it")
        failing_with(text)
        logging.LoggerAdapter(log, {}).warning(text)

    written = as_text(tell)
    assert "\x1b" not in written
    assert "\x00" not in written
    lines = written.splitlines()
    assert sum(1 for line in lines if EVENT.match(line)) == 4
    assert all(EVENT.match(line) or line.startswith("  | ") for line in lines)
    assert not any(line.startswith(FORGED[:30]) for line in lines)

    objects = [json.loads(line) for line in logged(JsonFormatter("worker", {}), tell).splitlines()]
    assert len(objects) == 4
    assert text in objects[0]["message"]


def test_fields_end_with_their_block() -> None:
    with bound(attempt=1) as fields:
        with bound(job_arn=ARN):
            assert current() == {"attempt": 1, "job_arn": ARN}
        assert current() == fields == {"attempt": 1}
    assert current() == {}


def test_outside_of_any_block_nothing_is_noted() -> None:
    note(job_arn=ARN)
    assert current() == {}


def test_a_request_s_fields_replace_what_was_there() -> None:
    def run() -> None:
        with bound(job_arn=ARN):
            fields: dict[str, str | int | float] = {"request_id": "1"}
            begin(fields)
            note(operation="ListTags")
            assert current() == fields == {"request_id": "1", "operation": "ListTags"}

    copy_context().run(run)


def test_what_is_read_on_the_inflating_thread_is_about_the_job() -> None:
    seen = []

    def chunks() -> Iterator[bytes]:
        seen.append((threading.current_thread().name, current().get("job_arn")))
        yield compiled_archive()

    with bound(job_arn=ARN):
        scan_archive(chunks())
    assert seen == [("edgepack-inflate", ARN)]


def test_ranges_are_read_for_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def read(_client: object, _info: ObjectInfo, start: int, end: int) -> bytes:
        seen.append((threading.current_thread().name.rpartition("_")[0], current().get("job_arn")))
        return bytes(end - start)

    monkeypatch.setattr(reading, "_read_once", read)
    info: object = type("Info", (), {"address": S3Address("b", "k")})()
    with bound(job_arn=ARN):
        found = b"".join(reading.stream_ranges(None, info, start=0, end=100))  # type: ignore[arg-type]
    assert (len(found), seen) == (100, [("read-range", ARN)])


DYING = """
import logging, sys, threading, warnings
from edgepack.telemetry.logs import configure_logging
configure_logging("info", sys.argv[1], process="worker")
warnings.warn("old\\nways")
thread = threading.Thread(target=lambda: {}["in a thread\\nof its own"], name="lost")
thread.start(); thread.join()
logging.getLogger("botocore").debug("headers")
{}["at the\\nend"]
"""


@pytest.mark.parametrize("form", [TEXT, JSON])
def test_warnings_and_uncaught_exceptions_are_events_too(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", DYING, form], capture_output=True, text=True)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    if form == JSON:
        events = [json.loads(line) for line in lines]
        assert [event["level"] for event in events] == ["warning", "error", "critical"]
        assert "KeyError: 'at the" in events[2]["exception"]
    else:
        assert [line.split()[2] for line in lines if EVENT.match(line)] == ["WARNING", "ERROR", "CRITICAL"]
        assert all(EVENT.match(line) or line.startswith("  | ") for line in lines)
