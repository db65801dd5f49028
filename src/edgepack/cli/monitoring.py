"""What one process shows to whoever watches it, as its settings ask: readiness always, metrics and traces if wanted.

The libraries for the last two are imported only when they are on.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from edgepack import __version__
from edgepack.errors import StateError
from edgepack.settings import Settings
from edgepack.telemetry.observers import JobObserver, JobObservers, RequestObserver
from edgepack.telemetry.readiness import Check, Readiness

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from edgepack.telemetry.backlog import Backlog
    from edgepack.telemetry.tracing import Tracing
    from edgepack.wire.status import StatusApp, StatusPages

log = logging.getLogger(__name__)


class TracingMissingError(StateError):
    """Traces are asked for, and what sends them is not installed."""

    code = "TracingMissing"
    advice = "Install the extra: pip install 'edgepack[otel]'; or start without --otlp-endpoint."


class Monitoring:
    """The means of one process.

    Args:
        settings: What is wanted.
        process: The process's role, `serve` or `worker`.
        instance: Tells it from the others of its role.

    Raises:
        TracingMissingError: Traces are wanted, and the extra `otel` is not installed.
    """

    def __init__(self, settings: Settings, *, process: str, instance: str) -> None:
        self._settings = settings
        self._registry = _registry() if settings.metrics else None
        self._tracing = _tracing(settings.otlp_endpoint, process, instance) if settings.otlp_endpoint else None
        self._connections: Callable[[], int] = lambda: 0

    def request_observers(self, operations: Iterable[str]) -> list[RequestObserver]:
        """Who is told of the API's requests."""
        observers: list[RequestObserver] = []
        if self._registry is not None:
            from edgepack.telemetry.request_metrics import RequestMetrics

            observers.append(RequestMetrics(self._registry, operations, connections=self._count_connections))
        if self._tracing is not None:
            from edgepack.telemetry.tracing import RequestTraces

            observers.append(RequestTraces(self._tracing))
        return observers

    def job_observer(self) -> JobObserver:
        """Who is told of a worker's jobs."""
        observers: list[JobObserver] = []
        if self._registry is not None:
            from edgepack.jobs.backlog import TABLES
            from edgepack.jobs.lifecycle import FINAL
            from edgepack.telemetry.job_metrics import JobMetrics

            observers.append(JobMetrics(self._registry, TABLES, sorted(FINAL)))
        if self._tracing is not None:
            from edgepack.telemetry.tracing import JobTraces

            observers.append(JobTraces(self._tracing))
        return JobObservers(*observers)

    def show_backlog(self, read: Callable[[], "Backlog"]) -> None:
        """Let `/metrics` tell what waits, too."""
        if self._registry is not None:
            from edgepack.telemetry.backlog_metrics import BacklogMetrics

            BacklogMetrics(self._registry, read)

    def watch_connections(self, count: Callable[[], int]) -> None:
        """Let `/metrics` tell how many connections are open, now that there is a listener."""
        self._connections = count

    def pages(self, readiness: Readiness) -> "StatusPages":
        """The pages that tell it all."""
        from edgepack.wire.status import Metrics, StatusPages

        if self._registry is None:
            return StatusPages(readiness)
        from edgepack.telemetry.metrics import CONTENT_TYPE, render

        registry = self._registry
        return StatusPages(readiness, Metrics(lambda: render(registry), CONTENT_TYPE))

    def listen(self, checks: Mapping[str, Check]) -> Readiness:
        """Serve the pages on the settings' status port, if there is one, for the rest of the process's life.

        Returns:
            The readiness, to be drained.

        Raises:
            ListenError: The address cannot be listened on.
        """
        readiness = Readiness(checks)
        settings = self._settings
        if settings.status_port is not None:
            from edgepack.wire.status import StatusApp

            _serve(StatusApp(self.pages(readiness)), settings.status_host, settings.status_port)
        return readiness

    def _count_connections(self) -> int:
        return self._connections()

    def close(self) -> None:
        """Send the last spans."""
        if self._tracing is not None:
            self._tracing.close()


def _serve(app: "StatusApp", host: str, port: int) -> None:
    from edgepack.wire.server import ApiServer, ListenError

    try:
        server = ApiServer(app, host=host, port=port)
    except ListenError as error:
        raise ListenError(
            error.message, advice="Choose another --status-port (0 takes any free one), or --status-host."
        ) from error
    threading.Thread(target=server.run, name="status", daemon=True).start()
    log.info("status at http://%s:%d", f"[{host}]" if ":" in host else host, server.port)


def require_tracing(settings: Settings) -> None:
    """See that what sends traces is there, if they are wanted: before processes are started that would miss it.

    Raises:
        TracingMissingError: It is not.
    """
    if settings.otlp_endpoint is not None:
        _tracing_type()


def _registry() -> "CollectorRegistry":
    from edgepack.telemetry.metrics import new_registry

    return new_registry(__version__)


def _tracing(endpoint: str, process: str, instance: str) -> "Tracing":
    return _tracing_type()(endpoint, process=process, version=__version__, instance=instance)


def _tracing_type() -> "type[Tracing]":
    try:
        from edgepack.telemetry.tracing import Tracing
    except ImportError as error:
        raise TracingMissingError("Traces need OpenTelemetry, which is not installed.") from error
    return Tracing
