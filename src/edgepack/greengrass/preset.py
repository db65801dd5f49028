"""`PresetDeploymentConfig`: what the caller wants of the component, and the defaults for the rest.

Source: EdgeOutputConfig in the SageMaker API reference; limits of names and versions from CreateComponentVersion and
the component recipe reference of AWS IoT Greengrass V2.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edgepack.errors import ValidationError
from edgepack.greengrass.platforms import PRESET_ARCHITECTURES, PRESET_OS, GreengrassPlatform, of_target

DEFAULT_NAME_PREFIX = "SagemakerEdgeManager"
"""Followed by the edge packaging job's name, with nothing in between."""

DEFAULT_VERSION = "1.0.0"

NAME_MAX, VERSION_MAX = 128, 64
"""Characters (component recipe reference)."""

DESCRIPTION_MAX = 1000
"""Characters: a nucleus lite accepts 1,000 and refuses 2,000."""

VERSION_PART_MAX = 999_999
"""Of major, minor and patch (component recipe reference)."""

RESERVED_NAME_PREFIX = "aws.greengrass"
"""Of AWS's own components."""

KEYS = ("ComponentName", "ComponentVersion", "ComponentDescription", "PlatformOS", "PlatformArchitecture")

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentPreset:
    """The component to publish.

    Attributes:
        name: ComponentName.
        version: ComponentVersion, a semantic version.
        description: ComponentDescription; None for one that names the model.
        platform: Where it runs.
    """

    name: str
    version: str
    description: str | None
    platform: GreengrassPlatform


def parse_preset(
    config: str | None, *, job_name: str, target_os: str | None, target_arch: str | None
) -> ComponentPreset:
    """Read and check a PresetDeploymentConfig.

    Args:
        config: The JSON text; None or empty for all defaults.
        job_name: The edge packaging job's name, for the component's default name.
        target_os: The compilation target's system in the words of TargetPlatform.Os, where the config names none.
        target_arch: Its architecture in the words of TargetPlatform.Arch, likewise.

    Raises:
        ValidationError: Malformed JSON, unknown keys, wrong types or impossible values; the message lists all of them.
    """
    given = _decode(config)
    faults = list(_faults(given))
    platform = None if faults else _platform(given, target_os, target_arch)
    if platform is None and not faults:
        faults.append(f"AWS IoT Greengrass V2 does not run on the compilation target's system, {target_os}")
    name = given.get("ComponentName", f"{DEFAULT_NAME_PREFIX}{job_name}")
    if faults or platform is None:
        raise ValidationError(f"OutputConfig.PresetDeploymentConfig is not valid: {'; '.join(faults)}.")
    return ComponentPreset(
        name=name,
        version=given.get("ComponentVersion", DEFAULT_VERSION),
        description=given.get("ComponentDescription"),
        platform=platform,
    )


def _decode(config: str | None) -> dict[str, Any]:
    if not config:
        return {}
    try:
        decoded = json.loads(config, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise ValidationError(
            f"OutputConfig.PresetDeploymentConfig is not valid JSON: {error}.",
            advice='It is a string that holds a JSON object, for example {"ComponentName": "com.example.model"}.',
        ) from None
    if not isinstance(decoded, dict):
        raise ValidationError("OutputConfig.PresetDeploymentConfig must be a JSON object.")
    return decoded


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    decoded = dict(pairs)
    if len(decoded) != len(pairs):
        raise ValueError("a key is given twice")
    return decoded


def _faults(given: dict[str, Any]) -> Iterator[str]:
    for key, value in given.items():
        if key not in KEYS:
            yield f"the key {key!r} is not known; the keys are {', '.join(KEYS)}"
        elif not isinstance(value, str):
            yield f"{key} must be a string"
        else:
            yield from _value_faults(key, value)


def _value_faults(key: str, value: str) -> Iterator[str]:
    match key:
        case "ComponentName" if not _NAME.fullmatch(value) or len(value) > NAME_MAX:
            yield f"ComponentName must have 1 to {NAME_MAX} letters, digits, dots, underscores and hyphens"
        case "ComponentName" if value.lower().startswith(RESERVED_NAME_PREFIX):
            yield f"ComponentName cannot start with {RESERVED_NAME_PREFIX!r}, which is AWS's"
        case "ComponentVersion" if not _is_version(value):
            yield f"ComponentVersion must be a semantic version such as 1.0.0, of at most {VERSION_MAX} characters"
        case "ComponentDescription" if len(value) > DESCRIPTION_MAX:
            yield f"ComponentDescription has more than {DESCRIPTION_MAX} characters"
        case "PlatformOS" if value not in PRESET_OS:
            yield f"PlatformOS must be one of {', '.join(PRESET_OS)}"
        case "PlatformArchitecture" if value not in PRESET_ARCHITECTURES:
            yield f"PlatformArchitecture must be one of {', '.join(PRESET_ARCHITECTURES)}"


def _is_version(text: str) -> bool:
    match = _VERSION.fullmatch(text)
    return match is not None and len(text) <= VERSION_MAX and all(_is_part(part) for part in match.groups()[:3])


def _is_part(digits: str) -> bool:
    return (digits == "0" or not digits.startswith("0")) and int(digits) <= VERSION_PART_MAX


def _platform(given: dict[str, str], target_os: str | None, target_arch: str | None) -> GreengrassPlatform | None:
    os, architecture = given.get("PlatformOS"), given.get("PlatformArchitecture")
    target = of_target(target_os, target_arch)
    if architecture is not None:
        named = PRESET_ARCHITECTURES[architecture]
        if os is not None and PRESET_OS[os] != named.os:
            raise ValidationError(
                f"OutputConfig.PresetDeploymentConfig is not valid: {architecture!r} is no architecture of {os}."
            )
        return named
    if os is not None:
        known = target is not None and target.os == PRESET_OS[os]
        return target if known else GreengrassPlatform(PRESET_OS[os])
    return target
