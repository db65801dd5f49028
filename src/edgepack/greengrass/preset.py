"""`PresetDeploymentConfig`: what the caller wants of the component, and the defaults for the rest.

Source: EdgeOutputConfig in the SageMaker API reference; limits of names and versions from CreateComponentVersion and
the component recipe reference of AWS IoT Greengrass V2.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
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
"""Bytes in the recipe, that is in UTF-8 and with JSON's escapes: a nucleus lite accepts 1,000 and refuses 2,000."""

VERSION_PART_MAX = 999_999
"""Of major, minor and patch (component recipe reference)."""

RESERVED_NAME_PREFIX = "aws.greengrass"
"""Of AWS's own components."""

FAULTS_SHOWN = 10
"""Faults that one message lists; the rest are counted."""

KEY_SHOWN = 64
"""Characters of an unknown key that a message repeats."""

KEYS = ("ComponentName", "ComponentVersion", "ComponentDescription", "PlatformOS", "PlatformArchitecture")

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    rf"(?:-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
"""The grammar of https://semver.org/spec/v2.0.0.html."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""Control characters but for the tab and the newline, and halves of surrogate pairs, which UTF-8 cannot hold."""


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
        ValidationError: Malformed JSON, unknown or repeated keys, wrong types or impossible values. The message lists
            all of them (of very many, the first `FAULTS_SHOWN`); the caller changes the config.
    """
    given = _decode(config)
    target = of_target(target_os, target_arch)
    faults = [*_faults(given), *_platform_faults(given, target, target_os)]
    platform = _platform(given, target) if not faults else None
    if platform is None:
        raise ValidationError(f"OutputConfig.PresetDeploymentConfig is not valid: {_listed(faults)}.")
    return ComponentPreset(
        name=given.get("ComponentName", f"{DEFAULT_NAME_PREFIX}{job_name}"),
        version=given.get("ComponentVersion", DEFAULT_VERSION),
        description=given.get("ComponentDescription"),
        platform=platform,
    )


class _Members(dict[str, Any]):
    """A decoded JSON object that remembers which of its keys were given more than once."""

    def __init__(self, pairs: Sequence[tuple[str, Any]] = ()) -> None:
        super().__init__(pairs)
        self.repeated = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]


def _decode(config: str | None) -> _Members:
    if not config:
        return _Members()
    try:
        # No number is a legal value, and Python refuses very long integers in words that help no caller.
        decoded = json.loads(config, object_pairs_hook=_Members, parse_int=float)
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise _not_json("it is nested too deeply") from None
    if not isinstance(decoded, _Members):
        raise _not_json("it is no object")
    return decoded


def _not_json(reason: str) -> ValidationError:
    return ValidationError(
        f"OutputConfig.PresetDeploymentConfig is not a JSON object: {reason}.",
        advice='It is a string that holds a JSON object, for example {"ComponentName": "com.example.model"}.',
    )


def _listed(faults: list[str]) -> str:
    more = len(faults) - FAULTS_SHOWN
    return "; ".join(faults[:FAULTS_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _faults(given: _Members) -> Iterator[str]:
    for key in given.repeated:
        yield f"the key {key[:KEY_SHOWN]!r} is given more than once"
    for key, value in given.items():
        if key not in KEYS:
            yield f"the key {key[:KEY_SHOWN]!r} is not known; the keys are {', '.join(KEYS)}"
        elif not isinstance(value, str):
            yield f"{key} must be a string"
        else:
            yield from _value_faults(key, value)


def _value_faults(key: str, value: str) -> Iterator[str]:
    match key:
        case "ComponentName":
            yield from _name_faults(value)
        case "ComponentVersion" if not _is_version(value):
            yield (
                f"ComponentVersion must be a semantic version such as 1.0.0, of at most {VERSION_MAX} characters "
                f"and with no number above {VERSION_PART_MAX}"
            )
        case "ComponentDescription":
            yield from _description_faults(value)
        case "PlatformOS" if value not in PRESET_OS:
            yield f"PlatformOS must be one of {', '.join(PRESET_OS)}"
        case "PlatformArchitecture" if value not in PRESET_ARCHITECTURES:
            yield f"PlatformArchitecture must be one of {', '.join(PRESET_ARCHITECTURES)}"


def _name_faults(name: str) -> Iterator[str]:
    if not _NAME.fullmatch(name) or len(name) > NAME_MAX:
        yield f"ComponentName must have 1 to {NAME_MAX} letters, digits, dots, underscores and hyphens"
    elif not name.strip("."):
        # Devices keep a component's files in folders that have its name.
        yield "ComponentName cannot consist of dots only"
    elif name.lower().startswith(RESERVED_NAME_PREFIX):
        yield f"ComponentName cannot start with {RESERVED_NAME_PREFIX!r}, which is AWS's"


def _description_faults(description: str) -> Iterator[str]:
    if _UNPRINTABLE.search(description):
        yield "ComponentDescription has control characters or half a surrogate pair"
    elif len(json.dumps(description, ensure_ascii=False).encode()) - len('""') > DESCRIPTION_MAX:
        yield f"ComponentDescription has more than {DESCRIPTION_MAX} bytes"


def _is_version(text: str) -> bool:
    match = _VERSION.fullmatch(text) if len(text) <= VERSION_MAX else None
    return match is not None and all(int(part) <= VERSION_PART_MAX for part in match.groups())


def _platform_faults(given: _Members, target: GreengrassPlatform | None, target_os: str | None) -> Iterator[str]:
    if not given.keys() & {"PlatformOS", "PlatformArchitecture"}:
        if target is None:
            yield f"AWS IoT Greengrass V2 does not run on the compilation target's system, {target_os}"
        return
    os, architecture = given.get("PlatformOS"), given.get("PlatformArchitecture")
    if not isinstance(os, str) or not isinstance(architecture, str):
        return
    of_os, of_architecture = PRESET_OS.get(os), PRESET_ARCHITECTURES.get(architecture)
    if of_os is not None and of_architecture is not None and of_architecture.os != of_os:
        yield f"{architecture!r} is no architecture of {os}"


def _platform(given: _Members, target: GreengrassPlatform | None) -> GreengrassPlatform | None:
    if "PlatformArchitecture" in given:
        return PRESET_ARCHITECTURES[given["PlatformArchitecture"]]
    if "PlatformOS" not in given:
        return target
    named = PRESET_OS[given["PlatformOS"]]
    return target if target is not None and target.os == named else GreengrassPlatform(named)
