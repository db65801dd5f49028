"""Platforms: from the words of the edge packaging and compilation APIs to a recipe's.

Sources: EdgeOutputConfig (PresetDeploymentConfig's keys), TargetPlatform, and the component recipe reference of
AWS IoT Greengrass V2 ("Manifests", "Platform").
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GreengrassPlatform:
    """Where a component runs, in a recipe's words.

    Attributes:
        os: `linux` or `windows`.
        architecture: `amd64`, `x86`, `aarch64` or `arm`; None for any.
    """

    os: str
    architecture: str | None = None

    @property
    def name(self) -> str:
        """A name for the manifest, for example `linux-aarch64`."""
        return "-".join(part for part in (self.os, self.architecture) if part)


ANY_LINUX = GreengrassPlatform("linux")
"""Where neither the preset nor the compilation job says anything."""

PRESET_OS = {"Linux": "linux", "Windows": "windows"}
"""`PlatformOS`."""

PRESET_ARCHITECTURES = {
    "Linux x86_64": GreengrassPlatform("linux", "amd64"),
    "Linux ARMV8": GreengrassPlatform("linux", "aarch64"),
    "x86_64": GreengrassPlatform("linux", "amd64"),
    "ARMV8": GreengrassPlatform("linux", "aarch64"),
    "Windows64_x64": GreengrassPlatform("windows", "amd64"),
    "Windows32_x86": GreengrassPlatform("windows", "x86"),
}
"""`PlatformArchitecture`. AWS prints the Linux ones with the system in front of them; both spellings are taken."""

TARGET_OS = {"LINUX": "linux", "WINDOWS": "windows"}
TARGET_ARCHITECTURES = {"X86_64": "amd64", "X86": "x86", "ARM64": "aarch64", "ARM_EABI": "arm", "ARM_EABIHF": "arm"}


def of_target(os: str | None, arch: str | None) -> GreengrassPlatform | None:
    """The platform of a compilation target; None for a system that Greengrass V2 does not run on.

    Args:
        os: TargetPlatform.Os or what the target device runs; None if nothing is known.
        arch: TargetPlatform.Arch, likewise.
    """
    if os is None:
        return ANY_LINUX
    if os not in TARGET_OS:
        return None
    return GreengrassPlatform(TARGET_OS[os], TARGET_ARCHITECTURES.get(arch or ""))
