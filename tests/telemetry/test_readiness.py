"""Readiness: bounded in time, checked once for all who ask, told without details, and over once a process drains."""

import logging
import threading
import time
from collections.abc import Callable

import pytest

from edgepack.telemetry import readiness
from edgepack.telemetry.background import Background, NoAnswerError
from edgepack.telemetry.readiness import LIFETIME_SECONDS, NotReadyError, Readiness


class Check:
    """A check that counts its calls and does what it is told."""

    def __init__(self, do: Callable[[], None] = lambda: None) -> None:
        self.do = do
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        self.do()


def missing(reason: str) -> Callable[[], None]:
    def do() -> None:
        raise NotReadyError(reason)

    return do


def broken() -> None:
    raise OSError("connection to postgresql://user:password@db failed")


def test_it_is_ready_when_every_check_passes() -> None:
    report = Readiness({"database": Check(), "store": Check()}).report()
    assert report.ready
    assert report.checks == {"database": "ok", "store": "ok"}


def test_what_is_missing_is_named_and_nothing_else_is_said(caplog: pytest.LogCaptureFixture) -> None:
    report = Readiness({"a": Check(missing("at 0003")), "b": Check(broken), "c": Check()}).report()
    assert not report.ready
    assert report.checks == {"a": "at 0003", "b": "failed", "c": "ok"}
    assert [record.getMessage() for record in caplog.records] == ["not ready: a: at 0003; b: failed"]


def test_a_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    check = Check()
    ready = Readiness({"a": check}, monotonic=lambda: now[0])
    with caplog.at_level(logging.INFO):
        for do in (lambda: None, missing("gone"), missing("gone"), lambda: None, lambda: None):
            check.do = do
            now[0] += LIFETIME_SECONDS
            ready.report()
    assert [record.getMessage() for record in caplog.records] == ["not ready: a: gone", "ready again"]
    assert check.calls == 5


def test_a_report_holds_for_a_second() -> None:
    now, check = [100.0], Check()
    ready = Readiness({"a": check}, monotonic=lambda: now[0])
    assert ready.known() is None
    first = ready.report()
    now[0] += LIFETIME_SECONDS - 0.01
    assert ready.known() is ready.report() is first
    assert check.calls == 1
    now[0] += 0.01
    assert ready.known() is None
    ready.report()
    assert check.calls == 2


def test_many_at_once_are_told_by_one_check() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert go_on.wait(10)

    check = Check(hold)
    ready = Readiness({"a": check})
    told: list[bool] = []
    threads = [threading.Thread(target=lambda: told.append(ready.report().ready)) for _ in range(50)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    go_on.set()
    for thread in threads:
        thread.join()
    assert told == [True] * 50
    assert check.calls == 1


def test_who_comes_while_a_report_is_being_made_waits_for_it() -> None:
    making, go_on = threading.Event(), threading.Event()

    def clock() -> float:
        making.set()
        assert go_on.wait(10)
        return 0.0

    check = Check()
    ready = Readiness({"a": check}, monotonic=clock)
    threads = [threading.Thread(target=ready.report) for _ in range(2)]
    threads[0].start()
    assert making.wait(10)
    threads[1].start()
    threads[1].join(0.2)
    go_on.set()
    for thread in threads:
        thread.join()
    assert check.calls == 1


def test_a_check_that_hangs_holds_up_nobody_and_is_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "CHECK_SECONDS", 0.05)
    now, go_on = [0.0], threading.Event()

    def hang() -> None:
        go_on.wait(30)

    hanging, quick = Check(hang), Check()
    ready = Readiness({"hanging": hanging, "quick": quick}, monotonic=lambda: now[0])
    for _ in range(3):
        now[0] += LIFETIME_SECONDS
        assert ready.report().checks == {"hanging": "no answer in time", "quick": "ok"}
    assert (hanging.calls, quick.calls) == (1, 3)
    go_on.set()
    deadline = time.monotonic() + 10
    while not ready.report().ready:
        assert time.monotonic() < deadline
        now[0] += LIFETIME_SECONDS
        time.sleep(0.01)


def test_who_drains_is_not_ready_at_once() -> None:
    check = Check()
    ready = Readiness({"a": check})
    assert ready.report().ready
    ready.drain()
    report = ready.known()
    assert report is not None
    assert (report.status, report.ready, report.checks) == ("draining", False, {"a": "ok"})
    assert ready.report() == report
    assert check.calls == 1


def test_a_call_in_the_background_gives_what_it_returned_or_raised() -> None:
    divisors = [1, 0, 2]
    call = Background("call", lambda: 2 // divisors.pop(0))
    call.start()
    assert call.result(10) == 2
    call.start()
    with pytest.raises(ZeroDivisionError):
        call.result(10)
    call.start()
    assert call.result(10) == 1


def test_a_call_in_the_background_is_waited_for_no_longer_than_asked() -> None:
    go_on = threading.Event()
    call = Background("call", lambda: go_on.wait(30))
    call.start()
    with pytest.raises(NoAnswerError):
        call.result(0.01)
    go_on.set()
    assert call.result(10)
