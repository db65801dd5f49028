"""Targets of the compilation API in a recipe's words."""

from typing import get_args

import pytest

from edgepack.compilers.targets import PLATFORM_OF_DEVICE
from edgepack.contract.fields import TargetPlatformArch
from edgepack.greengrass.platforms import ANY_LINUX, TARGET_ARCHITECTURES, GreengrassPlatform, of_target

GREENGRASS_ARCHITECTURES = {"amd64", "x86", "aarch64", "arm"}


@pytest.mark.parametrize(
    ("os", "arch", "name"),
    [
        ("LINUX", "X86_64", "linux-amd64"),
        ("LINUX", "X86", "linux-x86"),
        ("LINUX", "ARM64", "linux-aarch64"),
        ("LINUX", "ARM_EABI", "linux-arm"),
        ("LINUX", "ARM_EABIHF", "linux-arm"),
        ("WINDOWS", "X86", "windows-x86"),
        ("WINDOWS", "X86_64", "windows-amd64"),
        ("LINUX", None, "linux"),
    ],
)
def test_a_target_has_one_platform(os: str, arch: str | None, name: str) -> None:
    platform = of_target(os, arch)
    assert platform is not None
    assert platform.name == name


@pytest.mark.parametrize("os", ["ANDROID", "IOS", "linux", ""])
def test_other_systems_have_none(os: str) -> None:
    assert of_target(os, "ARM64") is None


def test_nothing_known_is_any_linux() -> None:
    assert of_target(None, None) == ANY_LINUX == GreengrassPlatform("linux", None)


def test_every_architecture_of_the_api_is_known() -> None:
    assert set(get_args(TargetPlatformArch)) == set(TARGET_ARCHITECTURES)
    assert set(TARGET_ARCHITECTURES.values()) == GREENGRASS_ARCHITECTURES


@pytest.mark.parametrize("device", sorted(PLATFORM_OF_DEVICE))
def test_every_target_device_has_a_platform_or_a_system_without_greengrass(device: str) -> None:
    target = PLATFORM_OF_DEVICE[device]
    platform = of_target(target.os, target.arch)
    assert (platform is None) == (target.os in {"ANDROID", "IOS"})
    assert platform is None or platform.architecture in GREENGRASS_ARCHITECTURES
