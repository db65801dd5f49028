"""Recipes: their form for every legal job, and their scripts in a real shell."""

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.greengrass.platforms import PRESET_ARCHITECTURES, TARGET_ARCHITECTURES, TARGET_OS
from edgepack.greengrass.preset import KEYS, ComponentPreset, parse_preset
from edgepack.greengrass.recipes import RECIPE_BYTES_MAX, ArtifactNameError, RecipeTooLargeError, build_recipe

JOB_NAMES = st.from_regex(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", fullmatch=True).filter(lambda name: len(name) <= 63)
MODEL_VERSIONS = st.from_regex(r"[a-zA-Z0-9 _.]{1,30}", fullmatch=True)
PREFIXES = st.text(st.characters(codec="utf-8"), max_size=300)
NAMES = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", fullmatch=True).filter(
    lambda name: not name.lower().startswith("aws.greengrass")
)
VERSIONS = st.from_regex(
    r"(0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,5})){2}(-[a-z]{1,8}\.[1-9])?(\+b[0-9])?", fullmatch=True
)
DESCRIPTIONS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=166)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "ComponentName": NAMES,
        "ComponentVersion": VERSIONS,
        "ComponentDescription": DESCRIPTIONS,
        "PlatformArchitecture": st.sampled_from(sorted(PRESET_ARCHITECTURES)),
    },
)
SCRIPT_VARIABLES = {"{work:path}", "{artifacts:path}"}
URI = re.compile(r"s3://[a-z0-9.-]+/(?:[A-Za-z0-9._~/:@!$&'()*+,;=-]|%[0-9A-F]{2})+")


def preset(config: dict[str, str] | None = None, *, os: str = "LINUX", arch: str = "X86_64") -> ComponentPreset:
    return parse_preset(json.dumps(config or {}), job_name="edge-job-1", target_os=os, target_arch=arch)


def recipe_of(component: ComponentPreset, uri: str = "s3://edge-bucket/packaged/m1-1.0.tar.gz") -> dict[str, Any]:
    built = build_recipe(component, job_name="edge-job-1", model_name="m1", model_version="1.0", artifact_uri=uri)
    decoded: dict[str, Any] = json.loads(built)
    return decoded


def test_the_recipe_that_passed_on_both_nuclei() -> None:
    stamp = "{work:path}/.installed"
    assert recipe_of(preset()) == {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": "SagemakerEdgeManageredge-job-1",
        "ComponentVersion": "1.0.0",
        "ComponentType": "aws.greengrass.generic",
        "ComponentDescription": "Model m1 version 1.0, packaged by edge packaging job edge-job-1",
        "ComponentPublisher": "edgepack",
        "ComponentConfiguration": {"DefaultConfiguration": {"ModelName": "m1", "ModelVersion": "1.0"}},
        "Manifests": [
            {
                "Name": "linux-amd64",
                "Platform": {"os": "linux", "architecture": "amd64", "runtime": "*"},
                "Lifecycle": {
                    "install": {
                        "Script": f'if [ "$(cat {stamp} 2>/dev/null)" != "1.0.0" ]; then tar -xzf '
                        f"{{artifacts:path}}/m1-1.0.tar.gz -C {{work:path}} && echo 1.0.0 > {stamp}; fi",
                        "Timeout": 300,
                    },
                    "startup": {
                        "Script": f'test -e {stamp} || exit 1; if [ -n "$NOTIFY_SOCKET" ]; '
                        "then systemd-notify --ready; fi; exit 0",
                        "Timeout": 60,
                    },
                },
                "Artifacts": [
                    {
                        "Uri": "s3://edge-bucket/packaged/m1-1.0.tar.gz",
                        "Unarchive": "NONE",
                        "Permission": {"Read": "ALL", "Execute": "NONE"},
                    }
                ],
            }
        ],
    }


@given(
    JOB_NAMES, JOB_NAMES, MODEL_VERSIONS, PREFIXES, CONFIGS, st.sampled_from(sorted(TARGET_OS)),
    st.sampled_from(sorted(TARGET_ARCHITECTURES)),
)  # fmt: skip
def test_every_legal_job_gives_a_legal_recipe(
    job: str, model: str, version: str, prefix: str, config: dict[str, str], target_os: str, arch: str
) -> None:
    component = parse_preset(json.dumps(config), job_name=job, target_os=target_os, target_arch=arch)
    uri = f"s3://edge-bucket/{prefix}/{model}-{version}.tar.gz"
    built = build_recipe(component, job_name=job, model_name=model, model_version=version, artifact_uri=uri)
    assert len(built) <= RECIPE_BYTES_MAX
    recipe = json.loads(built)
    assert recipe["ComponentName"] == config.get("ComponentName", f"SagemakerEdgeManager{job}")
    assert recipe["ComponentVersion"] == config.get("ComponentVersion", "1.0.0")
    assert recipe["ComponentDescription"] == config.get("ComponentDescription") or model in built.decode()
    assert recipe["ComponentConfiguration"]["DefaultConfiguration"] == {"ModelName": model, "ModelVersion": version}
    check_manifest(recipe["Manifests"], uri)


def check_manifest(manifests: list[dict[str, Any]], uri: str) -> None:
    assert len(manifests) == 1
    manifest = manifests[0]
    assert manifest["Platform"].items() >= {"runtime": "*"}.items()
    assert manifest["Platform"]["os"] in {"linux", "windows"}
    assert manifest["Platform"].get("architecture", "arm") in {"amd64", "x86", "aarch64", "arm"}
    assert set(manifest["Lifecycle"]) == {"install", "startup"}
    for phase in manifest["Lifecycle"].values():
        assert set(re.findall(r"\{[^}]*\}", phase["Script"])) <= SCRIPT_VARIABLES
        assert (
            phase["Script"].count("{")
            == phase["Script"].count("}")
            == len(re.findall(r"\{\w+:path\}", phase["Script"]))
        )
        assert "\n" not in phase["Script"]
    artifact = manifest["Artifacts"][0]["Uri"]
    assert URI.fullmatch(artifact)
    assert unquote(artifact) == uri


@pytest.mark.parametrize("character", ["\N{LATIN SMALL LETTER E WITH ACUTE}", "{", "\x01", "%"])
def test_the_longest_legal_job_fits(character: str) -> None:
    config = {"ComponentName": "n" * 128, "ComponentVersion": "1.0.0-" + "a" * 58, "ComponentDescription": '"' * 500}
    name = f"{'m' * 63}-{'1 ' * 15}.tar.gz"
    size = (1024 - len(name) - 1) // len(character.encode())
    uri = f"s3://{'b' * 63}/{character * size}/{name}"
    built = build_recipe(
        preset(config), job_name="j" * 63, model_name="m" * 63, model_version="1 " * 15, artifact_uri=uri
    )
    assert len(built) <= RECIPE_BYTES_MAX


def test_a_recipe_that_devices_cannot_read_is_refused() -> None:
    with pytest.raises(RecipeTooLargeError, match=r"edge-job-1 has \d+ bytes; devices read 8000") as caught:
        recipe_of(preset(), f"s3://b/{'p' * 8_000}/m1-1.0.tar.gz")
    assert caught.value.advice


@pytest.mark.parametrize("name", ["", "$(id).tar.gz", 'a".tar.gz', "a'b", "{x}", "a;b", "a\nb", "ä", "a%b", "a\\b"])
@pytest.mark.parametrize("system", ["LINUX", "WINDOWS"])
def test_a_name_for_no_shell_is_refused(name: str, system: str) -> None:
    with pytest.raises(ArtifactNameError, match="cannot be used in a component's scripts"):
        recipe_of(preset(os=system), f"s3://b/p/{name}")


def test_windows_scripts() -> None:
    manifest = recipe_of(preset(os="WINDOWS"), "s3://b/p/m1-1 0.tar.gz")["Manifests"][0]
    assert manifest["Platform"] == {"os": "windows", "architecture": "amd64", "runtime": "*"}
    assert manifest["Lifecycle"]["install"]["Script"] == (
        r'tar -xzf "{artifacts:path}\m1-1 0.tar.gz" -C {work:path} && >{work:path}\.installed echo 1.0.0'
    )
    assert manifest["Lifecycle"]["startup"]["Script"] == r"if not exist {work:path}\.installed exit 1"


class Device:
    """The folders of one component on a device, and its scripts run as a nucleus would run them."""

    def __init__(self, root: Path) -> None:
        self.artifacts, self.work, self.commands = root / "artifacts", root / "work", root / "bin"
        for folder in (self.artifacts, self.work, self.commands):
            folder.mkdir()
        notify = self.commands / "systemd-notify"
        notify.write_text(f'#!/bin/sh\necho "$@" >> {root}/notified\n')
        notify.chmod(0o755)
        self.notified = root / "notified"

    def download(self, file_name: str, content: str) -> None:
        """Replace the artifact by one with the model file `model.bin`."""
        for old in self.artifacts.iterdir():
            old.unlink()
        model = self.commands.parent / "model.bin"
        model.write_text(content)
        with tarfile.open(self.artifacts / file_name, "w:gz") as tar:
            tar.add(model, "model.bin")

    def run(self, recipe: dict[str, Any], phase: str, **variables: str) -> int:
        """Run a phase's script; its exit code."""
        script = recipe["Manifests"][0]["Lifecycle"][phase]["Script"]
        script = script.replace("{artifacts:path}", str(self.artifacts)).replace("{work:path}", str(self.work))
        environment = {"PATH": f"{self.commands}:{os.environ['PATH']}"} | variables
        done = subprocess.run(["/bin/sh", "-c", script], env=environment, capture_output=True)
        return done.returncode

    @property
    def installed(self) -> str:
        return (self.work / "model.bin").read_text()


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


@pytest.mark.parametrize("spelling", [str, quote])
@pytest.mark.parametrize("version", ["1.0", "2.0 b", " ", "_."])
def test_the_scripts_install_the_package(device: Device, version: str, spelling: Any) -> None:
    name = f"m1-{version}.tar.gz"
    recipe = recipe_of(preset(), f"s3://b/some folder/{name}")
    assert device.run(recipe, "startup") == 1
    device.download(spelling(name), "first")
    assert device.run(recipe, "install") == 0
    assert device.installed == "first"
    assert device.run(recipe, "startup") == 0
    assert not device.notified.exists()
    assert device.run(recipe, "startup", NOTIFY_SOCKET="/run/notify") == 0
    assert device.notified.read_text() == "--ready\n"


def test_installing_again_extracts_only_another_version(device: Device) -> None:
    name = "m1-1.0.tar.gz"
    device.download(name, "first")
    assert device.run(recipe_of(preset()), "install") == 0
    device.download(name, "second")
    assert device.run(recipe_of(preset()), "install") == 0
    assert device.installed == "first"
    assert device.run(recipe_of(preset({"ComponentVersion": "1.0.1-rc.1+b"})), "install") == 0
    assert device.installed == "second"


def test_a_damaged_package_is_not_installed(device: Device) -> None:
    (device.artifacts / "m1-1.0.tar.gz").write_bytes(b"no gzip")
    assert device.run(recipe_of(preset()), "install") != 0
    assert device.run(recipe_of(preset()), "startup") == 1


def test_keys_of_the_config_are_those_of_the_api() -> None:
    assert set(KEYS) == {
        "ComponentName", "ComponentVersion", "ComponentDescription", "PlatformOS", "PlatformArchitecture",
    }  # fmt: skip
