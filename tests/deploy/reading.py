"""The files of `deploy/` as tests read them, and the commands in them as edgepack would take them."""

import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from edgepack.cli.main import COMMANDS
from edgepack.settings import ENVIRONMENT_PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = DEPLOY / "systemd"
CONTAINER = DEPLOY / "container"
KUBERNETES = DEPLOY / "kubernetes"

INSTALLED = "/opt/edgepack/bin/edgepack"
STATE = "/var/lib/edgepack"


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit, each with all its values."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def manifests(*, examples: bool = True) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every document of every manifest, with its file's name."""
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        if path.name != "kustomization.yaml" and (examples or ".example." not in path.name):
            for document in yaml.safe_load_all(path.read_text()):
                yield path.relative_to(KUBERNETES).as_posix(), document


def pods() -> dict[str, dict[str, Any]]:
    """The pod of every manifest that makes some, by name."""
    found = {}
    for _, document in manifests():
        spec = document.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found[document["metadata"]["name"]] = spec["template"]["spec"]
    return found


def instructions() -> list[tuple[str, str]]:
    """The container file's instructions and their arguments, lines joined."""
    text = re.sub(r"\\\n", " ", (CONTAINER / "Containerfile").read_text())
    lines = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
    return [(line[0], " ".join(line[1].split())) for line in lines]


def require_setting(variable: str) -> None:
    """See that an EDGEPACK_ variable is one that edgepack takes."""
    assert variable.removeprefix(ENVIRONMENT_PREFIX).lower() in Settings.__struct_fields__, variable


def require_command(arguments: Sequence[str]) -> None:
    """See that edgepack takes these arguments, without running anything."""
    module, attribute, _ = COMMANDS[arguments[0]]
    command: click.Command = getattr(importlib.import_module(module), attribute)
    command.make_context(arguments[0], list(arguments[1:]))
