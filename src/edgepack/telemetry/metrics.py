"""The registry of a process's metrics and their text form, which Prometheus reads.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/practices/naming/.
Every process has a registry of its own making; the library's global one is never touched.
"""

import platform
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4.encode()


def new_registry(version: str) -> CollectorRegistry:
    """A registry with what every process tells of itself: memory, CPU, open files, garbage, its build.

    Args:
        version: edgepack's.
    """
    # A series more for every counter, which tells what the process's start time tells already.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    build = Gauge(
        "edgepack_build_info", "Always 1; what runs is in the labels.", ["version", "python"], registry=registry
    )
    build.labels(version, platform.python_version()).set(1)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """All metrics as text."""
    return generate_latest(registry)
