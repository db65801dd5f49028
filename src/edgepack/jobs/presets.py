"""The preset deployment: publish the package as a Greengrass component version of the caller's account."""

from typing import Final

from edgepack.compilers.targets import PLATFORM_OF_DEVICE
from edgepack.contract.arns import component_version_arn, parse_arn
from edgepack.contract.edge_packaging_jobs import EdgePresetDeploymentOutput
from edgepack.database import components
from edgepack.database.records import CompiledModel, ComponentVersion, EdgePackagingJob
from edgepack.errors import RequestError, ResourceInUseError
from edgepack.greengrass.preset import ComponentPreset, parse_preset
from edgepack.greengrass.recipes import build_recipe
from edgepack.jobs.attempt import Attempt

PRESET_TYPE: Final = "GreengrassV2Component"


def preset_of(config: str | None, *, job_name: str, compiled: CompiledModel) -> ComponentPreset:
    """The component that a job asks for, with the compilation target's platform where the config names none.

    Args:
        config: OutputConfig.PresetDeploymentConfig.
        job_name: The edge packaging job's name.
        compiled: What the compilation job has left.

    Raises:
        ValidationError: The config is not valid.
    """
    device = compiled.target_device
    platform = compiled.target_platform if device is None else PLATFORM_OF_DEVICE.get(device)
    return parse_preset(
        config,
        job_name=job_name,
        target_os=platform.os if platform else None,
        target_arch=platform.arch if platform else None,
    )


def publish_component(
    attempt: Attempt[EdgePackagingJob], preset: ComponentPreset, *, artifact_uri: str
) -> EdgePresetDeploymentOutput:
    """Store the component version; a failure is the preset's alone, as at AWS: the packaging job still completes.

    It may run twice for one job and leaves one component version.

    Args:
        attempt: At the edge packaging job, whose package is stored and checked.
        preset: The component.
        artifact_uri: The package.

    Returns:
        What Describe shows: COMPLETED with the component version's ARN, or FAILED with a message that says what to do.

    Raises:
        JobSupersededError: The job is no longer the attempt's; nothing was published.
    """
    job = attempt.job
    try:
        component = _component(job, preset, artifact_uri, attempt.clock())
        with attempt.transaction() as connection:
            stored = components.add(connection, component)
        if stored.source_arn != job.arn:
            raise ResourceInUseError(
                f"Component {preset.name} version {preset.version} exists already ({component.arn}).",
                advice="Delete that version, or give another ComponentVersion in PresetDeploymentConfig.",
            )
    except RequestError as error:
        return EdgePresetDeploymentOutput(type=PRESET_TYPE, status="FAILED", status_message=error.diagnostics())
    return EdgePresetDeploymentOutput(
        type=PRESET_TYPE,
        artifact=component.arn,
        status="COMPLETED",
        status_message=f"Published component {preset.name} version {preset.version}.",
    )


def _component(job: EdgePackagingJob, preset: ComponentPreset, artifact_uri: str, now: int) -> ComponentVersion:
    parsed = parse_arn(job.arn)
    assert parsed is not None
    return ComponentVersion(
        arn=component_version_arn(parsed.region, job.account_id, preset.name, preset.version),
        account_id=job.account_id,
        name=preset.name,
        version=preset.version,
        recipe=build_recipe(
            preset,
            job_name=job.name,
            model_name=job.model_name,
            model_version=job.model_version,
            artifact_uri=artifact_uri,
        ),
        source_arn=job.arn,
        created_at=now,
    )
