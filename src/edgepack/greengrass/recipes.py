"""The recipe of a packaged model's component.

Each odd bit of it was found necessary with a genuine nucleus (Greengrass nucleus lite 2.6.0) and with the Java
nucleus's classes: `runtime` and exact key case, or lite finds no manifest; a `startup` that ends well rather than a
`run` or nothing, so that dependents of both kinds live on both; the notification, because lite makes it a notifying
systemd unit; the stamp, because the Java nucleus runs `install` at every start. Braces stand for the known variables
only: lite takes any other for one of its own.
"""

import json
import shlex
from typing import Any

from edgepack.errors import RequestError
from edgepack.greengrass.preset import ComponentPreset

RECIPE_FORMAT = "2020-01-25"
RECIPE_BYTES_MAX = 8_000
"""A nucleus lite reads recipes into 8,196 bytes, and 8,369 were too many."""

PUBLISHER = "edgepack"
INSTALL_SECONDS, STARTUP_SECONDS = 300, 60
"""Timeouts of the phases; lite gives up on an installation after 300 s by itself."""


class RecipeTooLargeError(RequestError):
    """The recipe is larger than devices read."""

    code = "RecipeTooLarge"
    advice = "Shorten the component's description or the output location."


def build_recipe(
    preset: ComponentPreset, *, job_name: str, model_name: str, model_version: str, artifact_uri: str
) -> bytes:
    """The recipe of the component that installs a package.

    Args:
        preset: The component.
        job_name: The edge packaging job's name.
        model_name: The job's ModelName.
        model_version: Its ModelVersion.
        artifact_uri: The package, `s3://bucket/key`.

    Returns:
        JSON, UTF-8.

    Raises:
        RecipeTooLargeError: It has more than `RECIPE_BYTES_MAX` bytes.
    """
    described = f"Model {model_name} version {model_version}, packaged by edge packaging job {job_name}"
    recipe = {
        "RecipeFormatVersion": RECIPE_FORMAT,
        "ComponentName": preset.name,
        "ComponentVersion": preset.version,
        "ComponentType": "aws.greengrass.generic",
        "ComponentDescription": preset.description or described,
        "ComponentPublisher": PUBLISHER,
        "ComponentConfiguration": {
            "DefaultConfiguration": {"ModelName": model_name, "ModelVersion": model_version},
        },
        "Manifests": [_manifest(preset, artifact_uri)],
    }
    encoded = json.dumps(recipe, ensure_ascii=False).encode()
    if len(encoded) > RECIPE_BYTES_MAX:
        raise RecipeTooLargeError(
            f"The recipe of component {preset.name} has {len(encoded)} bytes; devices read {RECIPE_BYTES_MAX}."
        )
    return encoded


def _manifest(preset: ComponentPreset, artifact_uri: str) -> dict[str, Any]:
    platform = {"os": preset.platform.os, "runtime": "*"}
    if preset.platform.architecture is not None:
        platform["architecture"] = preset.platform.architecture
    lifecycle = _windows_lifecycle if preset.platform.os == "windows" else _linux_lifecycle
    return {
        "Name": preset.platform.name,
        "Platform": platform,
        "Lifecycle": lifecycle(preset.version, artifact_uri.rpartition("/")[2]),
        "Artifacts": [
            {"Uri": artifact_uri, "Unarchive": "NONE", "Permission": {"Read": "ALL", "Execute": "NONE"}},
        ],
    }


def _linux_lifecycle(version: str, file_name: str) -> dict[str, Any]:
    stamp, package = "{work:path}/.installed", f"{{artifacts:path}}/{shlex.quote(file_name)}"
    install = (
        f'if [ "$(cat {stamp} 2>/dev/null)" != "{version}" ]; then '
        f"tar -xzf {package} -C {{work:path}} && echo {version} > {stamp}; fi"
    )
    startup = f'test -e {stamp} || exit 1; if [ -n "$NOTIFY_SOCKET" ]; then systemd-notify --ready; fi; exit 0'
    return _phases(install, startup)


def _windows_lifecycle(version: str, file_name: str) -> dict[str, Any]:
    stamp = r"{work:path}\.installed"
    install = rf'tar -xzf "{{artifacts:path}}\{file_name}" -C {{work:path}} && echo {version}> {stamp}'
    return _phases(install, f"if not exist {stamp} exit 1")


def _phases(install: str, startup: str) -> dict[str, Any]:
    return {
        "install": {"Script": install, "Timeout": INSTALL_SECONDS},
        "startup": {"Script": startup, "Timeout": STARTUP_SECONDS},
    }
