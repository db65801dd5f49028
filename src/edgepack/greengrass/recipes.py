"""The recipe of a packaged model's component.

Each odd bit of it was found necessary with a genuine nucleus (Greengrass nucleus lite 2.6.0) and with the Java
nucleus's classes: `runtime` and exact key case, or lite finds no manifest; a `startup` that ends well rather than a
`run` or nothing, so that dependents of both kinds live on both; the notification, because lite makes it a notifying
systemd unit; the stamp, because the Java nucleus runs `install` at every start. Braces stand for the known variables
only: lite takes any other for one of its own.
"""

import json
import re
from typing import Any
from urllib.parse import quote

from edgepack.errors import RequestError
from edgepack.greengrass.preset import ComponentPreset

RECIPE_FORMAT = "2020-01-25"
RECIPE_BYTES_MAX = 8_000
"""A nucleus lite reads recipes into 8,196 bytes, and 8,369 were too many."""

PUBLISHER = "edgepack"
INSTALL_SECONDS, STARTUP_SECONDS = 300, 60
"""Timeouts of the phases; lite gives up on an installation after 300 s by itself."""


_URI_SAFE = "/:@!$&'()*+,;="
"""Beyond letters, digits and `-._~`: what a URI's path holds as it is (RFC 3986, section 3.3)."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]+")
_ARTIFACT_NAME = re.compile(r"[A-Za-z0-9 ._-]+")
"""What ModelName and ModelVersion can make of a package's name."""


class ArtifactNameError(RequestError):
    """The artifact's name has characters that must not enter a device's shell."""

    code = "ArtifactNameUnsupported"
    advice = "Name it with letters, digits, spaces, dots, underscores and hyphens only."


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
        artifact_uri: The package, `s3://bucket/key`, with the key as it is.

    Returns:
        JSON, UTF-8. The artifact's Uri is percent-encoded where a URI needs it: decode it to find the object.

    Raises:
        ArtifactNameError: The key's last part is no name for a shell.
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
        "Lifecycle": lifecycle(preset.version, _file_name(artifact_uri)),
        "Artifacts": [
            {
                "Uri": quote(artifact_uri, safe=_URI_SAFE),
                "Unarchive": "NONE",
                "Permission": {"Read": "ALL", "Execute": "NONE"},
            },
        ],
    }


def _file_name(artifact_uri: str) -> str:
    name = artifact_uri.rpartition("/")[2]
    if not _ARTIFACT_NAME.fullmatch(name):
        raise ArtifactNameError(f"The artifact's name {name!r} cannot be used in a component's scripts.")
    return name


def _linux_lifecycle(version: str, file_name: str) -> dict[str, Any]:
    # A name with a space is percent-encoded in the Uri, and nuclei differ in whether they decode it. The folder holds
    # this one artifact and nothing else.
    found = file_name if _PLAIN_NAME.fullmatch(file_name) else "*"
    stamp, package = "{work:path}/.installed", f"{{artifacts:path}}/{found}"
    install = (
        f'if [ "$(cat {stamp} 2>/dev/null)" != "{version}" ]; then '
        f"tar -xzf {package} -C {{work:path}} && echo {version} > {stamp}; fi"
    )
    startup = f'test -e {stamp} || exit 1; if [ -n "$NOTIFY_SOCKET" ]; then systemd-notify --ready; fi; exit 0'
    return _phases(install, startup)


def _windows_lifecycle(version: str, file_name: str) -> dict[str, Any]:
    stamp = r"{work:path}\.installed"
    # The redirection comes first: a digit in front of it would be taken for the number of a handle.
    install = rf'tar -xzf "{{artifacts:path}}\{file_name}" -C {{work:path}} && >{stamp} echo {version}'
    return _phases(install, f"if not exist {stamp} exit 1")


def _phases(install: str, startup: str) -> dict[str, Any]:
    return {
        "install": {"Script": install, "Timeout": INSTALL_SECONDS},
        "startup": {"Script": startup, "Timeout": STARTUP_SECONDS},
    }
