"""PresetDeploymentConfig: defaults, what is taken, and one message that names all faults."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import ValidationError
from edgepack.greengrass.platforms import GreengrassPlatform
from edgepack.greengrass.preset import FAULTS_SHOWN, KEYS, ComponentPreset, parse_preset

LINUX_ARM64 = ("LINUX", "ARM64")
NOWHERE = (None, None)


def parse(config: str | None, target: tuple[str | None, str | None] = NOWHERE) -> ComponentPreset:
    return parse_preset(config, job_name="job-1", target_os=target[0], target_arch=target[1])


def message(config: str, target: tuple[str | None, str | None] = NOWHERE) -> str:
    with pytest.raises(ValidationError) as caught:
        parse(config, target)
    assert "PresetDeploymentConfig" in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("config", [None, "", "{}", " {} "])
def test_all_defaults(config: str | None) -> None:
    assert parse(config, LINUX_ARM64) == ComponentPreset(
        name="SagemakerEdgeManagerjob-1",
        version="1.0.0",
        description=None,
        platform=GreengrassPlatform("linux", "aarch64"),
    )


def test_all_given() -> None:
    config = {
        "ComponentName": "com.example.model_1-a",
        "ComponentVersion": "2.3.4",
        "ComponentDescription": "Zählt\nÄpfel",
        "PlatformOS": "Linux",
        "PlatformArchitecture": "Linux x86_64",
    }
    assert parse(json.dumps(config), LINUX_ARM64) == ComponentPreset(
        name="com.example.model_1-a",
        version="2.3.4",
        description="Zählt\nÄpfel",
        platform=GreengrassPlatform("linux", "amd64"),
    )


@pytest.mark.parametrize(
    ("config", "target", "name"),
    [
        ({}, NOWHERE, "linux"),
        ({}, ("WINDOWS", "X86_64"), "windows-amd64"),
        ({"PlatformOS": "Linux"}, NOWHERE, "linux"),
        ({"PlatformOS": "Linux"}, LINUX_ARM64, "linux-aarch64"),
        ({"PlatformOS": "Windows"}, LINUX_ARM64, "windows"),
        ({"PlatformOS": "Linux"}, ("ANDROID", "ARM64"), "linux"),
        ({"PlatformArchitecture": "Windows64_x64"}, LINUX_ARM64, "windows-amd64"),
        ({"PlatformArchitecture": "Windows32_x86"}, LINUX_ARM64, "windows-x86"),
        ({"PlatformArchitecture": "Linux ARMV8"}, NOWHERE, "linux-aarch64"),
        ({"PlatformArchitecture": "ARMV8"}, NOWHERE, "linux-aarch64"),
        ({"PlatformArchitecture": "x86_64", "PlatformOS": "Linux"}, NOWHERE, "linux-amd64"),
    ],
)
def test_the_config_decides_over_the_target(
    config: dict[str, str], target: tuple[str | None, str | None], name: str
) -> None:
    assert parse(json.dumps(config), target).platform.name == name


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{", "is not a JSON object: Expecting property name"),
        ("{'ComponentName': 'x'}", "at character 1"),
        ("[]", "is not a JSON object: it is no object"),
        ("null", "it is no object"),
        ('"x"', "it is no object"),
        ("[" * 100_000, "it is nested too deeply"),
        ("9" * 5_000, "it is no object"),
        ('{"ComponentVersion": ' + "9" * 5_000 + "}", "ComponentVersion must be a string"),
        ('{"Componentname": "x"}', "'Componentname' is not known; the keys are ComponentName, ComponentVersion"),
        ('{"ComponentName": "a", "ComponentName": "a"}', "'ComponentName' is given more than once"),
        ('{"ComponentName": null}', "ComponentName must be a string"),
        ('{"ComponentName": {"a": 1, "a": 1}}', "ComponentName must be a string"),
        ('{"PlatformOS": ["Linux"]}', "PlatformOS must be a string"),
        ('{"ComponentName": ""}', "must have 1 to 128"),
        ('{"ComponentName": "a b"}', "must have 1 to 128"),
        ('{"ComponentName": "a\\n"}', "must have 1 to 128"),
        ('{"ComponentName": "é"}', "must have 1 to 128"),
        ('{"ComponentName": "a/../b"}', "must have 1 to 128"),
        ('{"ComponentName": ".."}', "cannot consist of dots only"),
        ('{"ComponentName": "%s"}' % ("a" * 129), "must have 1 to 128"),
        ('{"ComponentName": "aws.greengrass.Nucleus"}', "which is AWS's"),
        ('{"ComponentName": "AWS.Greengrass.Nucleus"}', "which is AWS's"),
        ('{"ComponentVersion": "1"}', "must be a semantic version"),
        ('{"ComponentVersion": "1.0.0\\n"}', "must be a semantic version"),
        ('{"ComponentVersion": "01.0.0"}', "must be a semantic version"),
        ('{"ComponentVersion": "1.0.0-01"}', "must be a semantic version"),
        ('{"ComponentVersion": "1.0.0-a..b"}', "must be a semantic version"),
        ('{"ComponentVersion": "1.0.0+"}', "must be a semantic version"),
        ('{"ComponentVersion": "1.0.1000000"}', "no number above 999999"),
        ('{"ComponentVersion": "1\\u0661.0.0"}', "must be a semantic version"),
        ('{"ComponentVersion": "1.0.0-%s"}' % ("a" * 59), "at most 64 characters"),
        ('{"ComponentDescription": "%s"}' % ("a" * 1001), "more than 1000 bytes"),
        ('{"ComponentDescription": "%s"}' % ("é" * 501), "more than 1000 bytes"),
        ('{"ComponentDescription": "\\u0000"}', "control characters"),
        ('{"ComponentDescription": "\\ud800"}', "half a surrogate pair"),
        ('{"PlatformOS": "linux"}', "PlatformOS must be one of Linux, Windows"),
        ('{"PlatformArchitecture": "amd64"}', "PlatformArchitecture must be one of Linux x86_64, "),
        (
            '{"PlatformOS": "Windows", "PlatformArchitecture": "Linux ARMV8"}',
            "'Linux ARMV8' is no architecture of Wind",
        ),
    ],
    ids=range(38),
)
def test_a_bad_config_is_refused(config: str, words: str) -> None:
    assert words in message(config)


@pytest.mark.parametrize(
    "config",
    [
        {"ComponentName": "a" * 128},
        {"ComponentName": "..a"},
        {"ComponentVersion": "0.0.0"},
        {"ComponentVersion": "999999.999999.999999"},
        {"ComponentVersion": "1.0.0-" + "a" * 58},
        {"ComponentVersion": "1.0.0-alpha.1.x-y+build.007"},
        {"ComponentDescription": "é" * 500},
        {"ComponentDescription": ""},
    ],
)
def test_the_limits_themselves_are_taken(config: dict[str, str]) -> None:
    preset = parse(json.dumps(config))
    assert set(config.values()) <= {preset.name, preset.version, preset.description}


@pytest.mark.parametrize("os", ["ANDROID", "IOS"])
def test_a_target_without_greengrass_is_refused(os: str) -> None:
    assert f"does not run on the compilation target's system, {os}" in message("{}", (os, "ARM64"))


def test_one_message_lists_all_faults() -> None:
    text = message(
        '{"ComponentName": "a b", "ComponentName": "a c", "ComponentVersion": "1", "Platform": {}, '
        '"ComponentDescription": 3, "PlatformOS": "Windows", "PlatformArchitecture": "ARMV8"}'
    )
    for words in ("more than once", "128", "semantic", "'Platform'", "must be a string", "no architecture of Windows"):
        assert words in text
    assert text.count(";") == 6


def test_a_message_has_an_end() -> None:
    text = message(json.dumps({f"{number}{'x' * 5_000}": 1 for number in range(100)}))
    assert f"and {100 - FAULTS_SHOWN} more" in text
    assert len(text) < 4_000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.text(st.characters())
    | st.builds(json.dumps, VALUES)
    | st.builds(json.dumps, st.dictionaries(st.sampled_from(KEYS), VALUES)),
    st.sampled_from([NOWHERE, LINUX_ARM64, ("ANDROID", "ARM64"), ("WINDOWS", "X86")]),
)
def test_whatever_comes_is_parsed_or_refused(config: str, target: tuple[str | None, str | None]) -> None:
    try:
        preset = parse(config, target)
    except ValidationError:
        return
    values: dict[str, Any] = json.loads(config) if config else {}
    assert set(values) <= set(KEYS)
    assert preset.name == values.get("ComponentName", "SagemakerEdgeManagerjob-1")
