"""Whether this process should be sent work: bounded in time, asked at most once a second, and never with a secret.

`/healthz` says that a process lives; this says that what it needs answers. A process that is told to stop says no from
then on, so that load balancers turn away before its listener closes.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from edgepack.telemetry.background import Background, NoAnswerError

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 2.0
"""How long all checks together may take; what has not answered by then does not."""

LIFETIME_SECONDS: Final = 1.0
"""How long a report holds: probing, however often, costs one round of checks a second."""

OK: Final = "ok"
READY: Final = "ready"
NOT_READY: Final = "not ready"
DRAINING: Final = "draining"

Check = Callable[[], None]
"""Returns if all is well. Raises `NotReadyError` with what is missing, or anything else for "it failed"."""


class NotReadyError(Exception):
    """Something that the process needs is missing.

    Args:
        reason: What anybody may read of it: a few words of our own, no address and no text of a library's.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Report(msgspec.Struct, frozen=True):
    """What `/readyz` answers.

    Attributes:
        status: `ready`, `not ready` or `draining`.
        checks: `ok`, or what is missing, by what was checked.
    """

    status: str
    checks: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether the process should be sent work."""
        return self.status == READY


class Readiness:
    """Checks what a process needs. Safe to share between threads.

    Args:
        checks: What to check, by name.
        monotonic: Seconds.
    """

    def __init__(self, checks: Mapping[str, Check], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._checks = {name: _Running(name, check) for name, check in checks.items()}
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._last: Report | None = None
        self._made_at = 0.0
        self._draining = False

    def drain(self) -> None:
        """Say no from now on; safe in a signal handler."""
        self._draining = True

    def known(self) -> Report | None:
        """The report, if it can be given at once; never waits."""
        last = self._last
        if self._draining:
            return Report(DRAINING, {} if last is None else last.checks)
        if last is None or self._monotonic() - self._made_at >= LIFETIME_SECONDS:
            return None
        return last

    def report(self) -> Report:
        """The report; takes `CHECK_SECONDS` at most, and however many ask at once, the checks are made once."""
        if (known := self.known()) is not None:
            return known
        with self._lock:
            if (known := self.known()) is not None:
                return known
            report = self._check()
            self._tell(report)
            self._last, self._made_at = report, self._monotonic()
        return self.known() or report

    def _check(self) -> Report:
        for check in self._checks.values():
            check.start()
        deadline = time.monotonic() + CHECK_SECONDS
        checks = {name: check.result(deadline - time.monotonic()) for name, check in self._checks.items()}
        return Report(READY if all(found == OK for found in checks.values()) else NOT_READY, checks)

    def _tell(self, report: Report) -> None:
        """Log a change, once."""
        if report.ready:
            if self._last is not None and not self._last.ready:
                log.info("ready again")
        elif self._last is None or self._last.checks != report.checks:
            missing = "; ".join(f"{name}: {found}" for name, found in report.checks.items() if found != OK)
            log.warning("not ready: %s", missing)


class _Running:
    """One check, in words."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._call = Background(f"check-{name}", check)

    def start(self) -> None:
        self._call.start()

    def result(self, seconds: float) -> str:
        try:
            self._call.result(seconds)
        except NoAnswerError:
            return "no answer in time"
        except NotReadyError as error:
            return error.reason
        except Exception as error:
            log.debug("the check %s failed", self._name, exc_info=error)
            return "failed"
        return OK
