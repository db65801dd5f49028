"""The Kubernetes manifests: valid, in agreement with each other, with the image and with edgepack."""

import subprocess
import urllib.request
from itertools import chain
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cli.running import edgepack
from deploy.reading import KUBERNETES, ROOT, instructions, manifests, pods, require_command, require_setting
from driving import compiled
from edgepack.cli.children import STOP_SECONDS
from edgepack.settings import Settings
from edgepack.wire.server import SHUTDOWN_SECONDS
from harness import RunningServer, start_server, worker_beside
from postgres import PostgresServer
from stores import running_store

VERSIONS = ("1.33", "1.37")
"""The oldest and the newest that are checked, of those whose schemas the validator has."""

NOT_IN_KUBERNETES = {"ScaledObject"}
"""KEDA's, whose schema nobody has here."""

CONTAINERS = {name: pod["containers"][0] for name, pod in pods().items()}


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(version: str) -> None:
    checked = 0
    for name, document in manifests():
        if document["kind"] not in NOT_IN_KUBERNETES:
            kubernetes_validate.validate(document, version, strict=True)
            checked += 1
        assert document["metadata"].get("namespace", "edgepack") == "edgepack", name
    assert checked > 12


def test_what_is_applied_is_there_and_examples_are_not() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    there = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == {name for name in there if ".example." not in name}
    assert {name for name, _ in manifests() if ".example." in name} == {"secret.example.yaml", "ingress.example.yaml"}


def variables() -> set[str]:
    maps = [document for _, document in manifests() if document["kind"] in {"ConfigMap", "Secret"}]
    of_maps = chain.from_iterable(document.get("data") or document.get("stringData") or {} for document in maps)
    of_pods = (entry["name"] for container in CONTAINERS.values() for entry in container.get("env", []))
    return {name for name in (*of_maps, *of_pods) if name.startswith("EDGEPACK_")}


@pytest.mark.parametrize("variable", sorted(variables()))
def test_every_variable_is_a_setting(variable: str) -> None:
    require_setting(variable)


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_pod_runs_a_command(name: str) -> None:
    require_command(CONTAINERS[name]["args"])


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_pod_is_restricted_and_runs_as_the_image_s_user(name: str) -> None:
    pod, container = pods()[name], CONTAINERS[name]
    user, _, group = dict(instructions())["USER"].partition(":")
    context = pod["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (int(user), int(group), int(group))
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert {"requests", "limits"} <= container["resources"].keys()


@pytest.mark.parametrize("name", CONTAINERS)
def test_no_service_s_name_becomes_a_setting(name: str) -> None:
    """Kubernetes would set EDGEPACK_PORT=tcp://… and EDGEPACK_SERVICE_HOST for a Service called edgepack."""
    assert pods()[name]["enableServiceLinks"] is False


def test_ports_and_selectors_agree() -> None:
    found: dict[str, list[Any]] = {}
    for _, document in manifests():
        found.setdefault(document["kind"], []).append(document)
    ports = {port["name"]: port["containerPort"] for each in CONTAINERS.values() for port in each.get("ports", [])}
    assert ports["http"] == Settings().port == int(dict(instructions())["EXPOSE"])
    (service,) = found["Service"]
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]
    deployments = {each["metadata"]["name"]: each["spec"] for each in found["Deployment"]}
    labels = {name: spec["template"]["metadata"]["labels"] for name, spec in deployments.items()}
    for name, spec in deployments.items():
        assert spec["selector"]["matchLabels"].items() <= labels[name].items()
    budgets = [each["spec"]["selector"]["matchLabels"] for each in found["PodDisruptionBudget"]]
    for selector in (service["spec"]["selector"], *budgets):
        assert selector.items() <= labels["edgepack-api"].items()
    for scaler in (*found["HorizontalPodAutoscaler"], *found["ScaledObject"]):
        assert scaler["spec"]["scaleTargetRef"]["name"] == "edgepack-worker"
    assert "replicas" not in deployments["edgepack-worker"], "an apply would undo what the autoscaler has set"


def test_probes_ask_what_is_answered(server: RunningServer) -> None:
    api = CONTAINERS["edgepack-api"]
    probes = {probe: api[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert probes["livenessProbe"]["path"] != probes["readinessProbe"]["path"]
    for probe in probes.values():
        assert probe["port"] == "http"
        with urllib.request.urlopen(server.environment["AWS_ENDPOINT_URL_SAGEMAKER"] + probe["path"]) as answer:
            assert answer.status == 200
    worker = CONTAINERS["edgepack-worker"]
    (status,) = worker["ports"]
    assert {"name": "EDGEPACK_STATUS_PORT", "value": str(status["containerPort"])} in worker["env"]
    assert {worker[probe]["httpGet"]["port"] for probe in ("readinessProbe", "livenessProbe")} == {status["name"]}


def test_an_end_has_the_time_that_it_takes() -> None:
    grace = {name: float(pod.get("terminationGracePeriodSeconds", 0)) for name, pod in pods().items()}
    environment = {entry["name"]: entry.get("value") for entry in CONTAINERS["edgepack-api"]["env"]}
    assert grace["edgepack-api"] > float(environment["EDGEPACK_SHUTDOWN_DELAY"]) + 2 * SHUTDOWN_SECONDS
    environment = {entry["name"]: entry.get("value") for entry in CONTAINERS["edgepack-worker"]["env"]}
    assert grace["edgepack-worker"] > float(environment["EDGEPACK_DRAIN_SECONDS"]) + STOP_SECONDS


def test_workers_are_scaled_by_metrics_that_are_there() -> None:
    code = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    for _, document in manifests():
        if document["kind"] == "HorizontalPodAutoscaler":
            for metric in document["spec"]["metrics"]:
                assert f'"{metric["external"]["metric"]["name"]}"' in code
        if document["kind"] == "ScaledObject":
            for trigger in document["spec"]["triggers"]:
                query = trigger["metadata"]["query"]
                assert any(
                    f"({name}" in query and f'"{name}"' in code for name in ("edgepack_queue_depth", "edgepack_jobs")
                )


def mounted_as_by_kubelet(keys: Path, folder: Path) -> None:
    """A secret's files as a pod sees them: links to links to files that only their group may read."""
    secret = next(
        document["stringData"]
        for _, document in manifests()
        if document["kind"] == "Secret" and document["metadata"]["name"] == "edgepack-keys"
    )
    version = folder / "..2026_01_01_00_00_00.123456789"
    version.mkdir(parents=True)
    for name in secret:
        (version / name).write_bytes((keys / name).read_bytes())
        (version / name).chmod(0o440)
        (folder / name).symlink_to(f"..data/{name}")
    (folder / "..data").symlink_to(version.name)
    version.chmod(0o550)
    folder.chmod(0o550)


@pytest.mark.server
def test_keys_that_are_mounted_from_a_secret_serve(tmp_path: Path, postgres: PostgresServer) -> None:
    edgepack("keys", "create", "--data", "made", folder=tmp_path)
    data, database = tmp_path / "data", postgres.new_database()
    mounted_as_by_kubelet(tmp_path / "made" / "keys", data / "keys")
    before = sorted(path.name for path in (data / "keys").iterdir())
    assert "root.key.pem" not in before
    with running_store(tmp_path / "s3") as store:
        server = start_server(data, "--workers", "0", database=database, store=store.address)
        try:
            with worker_beside(server, tmp_path / "worker.log"):
                compiled(server, "source")
            told = edgepack("backup", "--data", data, "--out", "b.tar", folder=tmp_path).stdout
            assert "5 files" in told
        finally:
            server.stop()
    assert sorted(path.name for path in (data / "keys").iterdir()) == before
    subprocess.run(["chmod", "-R", "u+w", data / "keys"], check=True)
