"""Targets: what a TargetDevice stands for, and how the compiled archive is called."""

from dataclasses import dataclass

from edgepack.compilers.base import CompilationRequest

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz")


@dataclass(frozen=True, slots=True)
class Platform:
    """What a compiler has to produce code for.

    Attributes:
        os: `LINUX` or `ANDROID` as in TargetPlatform.Os; `WINDOWS` and `IOS` for devices that no TargetPlatform names.
        arch: As in TargetPlatform.Arch.
        accelerator: As in TargetPlatform.Accelerator, or a name of ours where AWS has none; None for the CPU.
    """

    os: str
    arch: str
    accelerator: str | None = None

    def __str__(self) -> str:
        return "_".join(part for part in (self.os, self.arch, self.accelerator) if part)


_LINUX_X86_64 = Platform("LINUX", "X86_64")
_LINUX_ARM64 = Platform("LINUX", "ARM64")
_LINUX_ARM_EABIHF = Platform("LINUX", "ARM_EABIHF")
_NVIDIA_ARM64 = Platform("LINUX", "ARM64", "NVIDIA")
_NVIDIA_X86_64 = Platform("LINUX", "X86_64", "NVIDIA")
_NEURON = Platform("LINUX", "X86_64", "NEURON")
_AMBARELLA = Platform("LINUX", "ARM64", "CVFLOW")
_ANDROID_QUALCOMM = Platform("ANDROID", "ARM64")

PLATFORM_OF_DEVICE = {
    "lambda": _LINUX_X86_64,
    "ml_m4": _LINUX_X86_64,
    "ml_m5": _LINUX_X86_64,
    "ml_c4": _LINUX_X86_64,
    "ml_c5": _LINUX_X86_64,
    "ml_m6g": _LINUX_ARM64,
    "ml_c6g": _LINUX_ARM64,
    "ml_p2": _NVIDIA_X86_64,
    "ml_p3": _NVIDIA_X86_64,
    "ml_g4dn": _NVIDIA_X86_64,
    "ml_inf1": _NEURON,
    "ml_inf2": _NEURON,
    "ml_trn1": _NEURON,
    "ml_eia2": Platform("LINUX", "X86_64", "ELASTIC_INFERENCE"),
    "jetson_tx1": _NVIDIA_ARM64,
    "jetson_tx2": _NVIDIA_ARM64,
    "jetson_nano": _NVIDIA_ARM64,
    "jetson_xavier": _NVIDIA_ARM64,
    "rasp3b": _LINUX_ARM_EABIHF,
    "rasp4b": _LINUX_ARM_EABIHF,
    "imx8qm": _LINUX_ARM64,
    "imx8mplus": Platform("LINUX", "ARM64", "NNA"),
    "deeplens": Platform("LINUX", "X86_64", "INTEL_GRAPHICS"),
    "rk3399": Platform("LINUX", "ARM64", "MALI"),
    "rk3288": Platform("LINUX", "ARM_EABIHF", "MALI"),
    "aisage": Platform("LINUX", "ARM64", "MALI"),
    "sbe_c": _LINUX_X86_64,
    "qcs603": _ANDROID_QUALCOMM,
    "qcs605": _ANDROID_QUALCOMM,
    "sitara_am57x": _LINUX_ARM_EABIHF,
    "jacinto_tda4vm": Platform("LINUX", "ARM64", "TIDL"),
    "amba_cv2": _AMBARELLA,
    "amba_cv22": _AMBARELLA,
    "amba_cv25": _AMBARELLA,
    "x86_win32": Platform("WINDOWS", "X86"),
    "x86_win64": Platform("WINDOWS", "X86_64"),
    "coreml": Platform("IOS", "ARM64", "COREML"),
}
"""Every TargetDevice of the API (version 2017-07-24).

Sources: "Supported Frameworks, Devices, Systems, and Architectures" of the Neo developer guide, and the TargetPlatform
examples of the OutputConfig page (Raspberry Pi 3: LINUX/ARM_EABIHF, Jetson TX2: LINUX/ARM64/NVIDIA, RK3399:
LINUX/ARM64/MALI). The rest is what the device's vendor runs on it.
"""


def platform_of(request: CompilationRequest) -> Platform | None:
    """What the request's target is; None for a TargetDevice that is in no table here."""
    if request.target_device is not None:
        return PLATFORM_OF_DEVICE.get(request.target_device)
    if request.target_os is None or request.target_arch is None:
        return None
    return Platform(request.target_os, request.target_arch, request.target_accelerator)


def target_name(request: CompilationRequest) -> str:
    """The target as Neo writes it: the device's name, or `OS_ARCH` with `_ACCELERATOR` where there is one."""
    return request.target_device or str(platform_of(request))


def output_name(input_key: str, request: CompilationRequest) -> str:
    """The compiled archive's name: `<stem of the input>-<target>.tar.gz`, as Neo calls it.

    Args:
        input_key: The S3 key of the model archive; its last part gives the stem.
        request: Its target gives the rest.

    Returns:
        For example `model-rasp4b.tar.gz` or `model-LINUX_ARM64_NVIDIA.tar.gz`.
    """
    stem = input_key.rsplit("/", 1)[-1]
    for suffix in ARCHIVE_SUFFIXES:
        if stem.lower().endswith(suffix):
            stem = stem[: -len(suffix)]
            break
    return f"{stem or 'model'}-{target_name(request)}.tar.gz"
