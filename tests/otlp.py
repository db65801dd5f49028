"""A collector of OpenTelemetry traces: the receiving end of OTLP over HTTP, on loopback."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SECONDS = 30.0


@dataclass
class Collector:
    """What has come."""

    endpoint: str = ""
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, object]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def wait_for(self, wanted: Callable[[Span], bool], *, count: int = 1) -> list[Span]:
        """The spans that are wanted, once there are so many."""
        deadline = time.monotonic() + SECONDS
        while len(found := [span for span in list(self.spans) if wanted(span)]) < count:
            assert time.monotonic() < deadline, [(span.name, attributes(span)) for span in self.spans]
            time.sleep(0.05)
        return found

    def take(self, path: str, body: bytes) -> None:
        """Take one request's spans."""
        self.paths.append(path)
        request = ExportTraceServiceRequest.FromString(body)
        for of_resource in request.resource_spans:
            self.resources.append(_values(of_resource.resource.attributes))
            for of_scope in of_resource.scope_spans:
                self.spans += of_scope.spans


def attributes(span: Span) -> dict[str, object]:
    """A span's attributes."""
    return _values(span.attributes)


def _values(pairs: Iterable[KeyValue]) -> dict[str, object]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "") for pair in pairs}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector for the time of the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            body = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
