"""docs/monitoring.md tells of every metric, and of none that is not there; its examples are what edgepack writes."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from edgepack.database.engine import Database
from edgepack.jobs.backlog import TABLES, read_backlog
from edgepack.jobs.lifecycle import FINAL
from edgepack.telemetry.backlog_metrics import BacklogMetrics
from edgepack.telemetry.job_metrics import JobMetrics
from edgepack.telemetry.metrics import new_registry
from edgepack.telemetry.observers import OK, AttemptOutcome, RequestOutcome, StepOutcome
from edgepack.telemetry.request_metrics import RequestMetrics

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text()
OURS = "edgepack_"
ROW = re.compile(r"^\| `(edgepack_\w+)` \| (\w+) \|([^|]*)\| ", re.MULTILINE)

Described = dict[str, tuple[str, frozenset[str]]]
"""Type and labels by name."""


def described(page: str) -> Described:
    rows = ROW.findall(page)
    found = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert len(found) == len(rows)
    return found


def section(title: str) -> str:
    return PAGE.partition(f"\n### {title}\n")[2].partition("\n### ")[0]


def collected(registry: CollectorRegistry) -> Described:
    """What a registry shows."""
    found: Described = {}
    for family in registry.collect():
        if family.name.startswith(OURS):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = frozenset(label for sample in family.samples for label in sample.labels) - {"le"}
            found[name] = (family.type, labels)
    return found


def api_registry(database: Database) -> CollectorRegistry:
    registry = new_registry("1.2.3")
    BacklogMetrics(registry, lambda: read_backlog(database))
    requests = RequestMetrics(registry, ["ListTags"], connections=lambda: 1)
    requests.began()
    requests.ended(RequestOutcome("ListTags", OK, 200, 0.1, 1, {}, None))
    return registry


def worker_registry() -> CollectorRegistry:
    registry = new_registry("1.2.3")
    jobs = JobMetrics(registry, TABLES, FINAL)
    common = {"kind": "compilation", "arn": "a", "workflow_id": "w"}
    jobs.attempt_began("compilation")
    jobs.step_ended(StepOutcome(**common, name="compile", done=True, began_at=0, ended_at=1))
    jobs.attempt_ended(
        AttemptOutcome(**common, number=1, status="COMPLETED", began_at=0, ended_at=1, bytes_read=1, bytes_written=1)
    )
    jobs.store_retried("compilation")
    jobs.requeued("compilation", died=True)
    return registry


def test_every_metric_is_described_where_it_is_shown(sqlite_database: Database) -> None:
    both = described(section("Both"))
    assert described(section("The API")) | both == collected(api_registry(sqlite_database))
    assert described(section("Workers")) | both == collected(worker_registry())


def test_names_are_as_prometheus_wants_them() -> None:
    for name, (kind, _) in described(PAGE).items():
        assert name.endswith("_total") == (kind == "counter")
        assert not name.endswith(("_milliseconds", "_ms", "_megabytes", "_kb"))


@pytest.mark.parametrize("name", sorted({*re.findall(r"edgepack_[a-z_]*[a-z]\b(?!\*)", section("Alerts"))}))
def test_alerts_go_by_metrics_that_are_there(name: str) -> None:
    assert name in described(PAGE)


def test_there_are_alerts() -> None:
    assert len(re.findall(r"- alert: Edgepack", section("Alerts"))) == 7


def test_process_metrics_that_are_named_are_there() -> None:
    named = set(re.findall(r"`(process_\w+)`", PAGE))
    shown: Iterable[str] = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in new_registry("1").collect()
    }
    assert named == {name for name in shown if name.startswith("process_")}


def test_the_example_of_a_json_line_has_the_fields_that_are_listed() -> None:
    line = re.search(r'^\{"time": .*\}$', PAGE, re.MULTILINE)
    assert line is not None
    cells = re.findall(r"^\| (`.*?) \|", PAGE.partition("## The log")[2], re.MULTILINE)
    listed = set(re.findall(r"`(\w+)`", "".join(cells)))
    assert json.loads(line[0]).keys() <= listed
    assert {"job_arn", "attempt", "executor_id", "request_id", "operation", "account_id", "exception"} <= listed


def test_each_process_has_a_registry_of_its_own() -> None:
    first, second = new_registry("1"), new_registry("1")
    RequestMetrics(first, ["ListTags"], connections=lambda: 0)
    assert not any(family.name.startswith("edgepack_requests") for family in second.collect())
