"""The preset deployment: publish the package as a Greengrass component version of the caller's account."""

from edgepack.contract.arns import component_version_arn
from edgepack.contract.edge_packaging_jobs import EdgePresetDeploymentOutput
from edgepack.database import components
from edgepack.database.engine import Database
from edgepack.database.records import ComponentVersion, EdgePackagingJob
from edgepack.errors import EdgepackError
from edgepack.greengrass.preset import ComponentPreset, parse_preset
from edgepack.greengrass.recipes import build_recipe
from edgepack.package.manifest import ModelIdentity
from edgepack.settings import DEFAULT_REGION

PRESET_TYPE = "GreengrassV2Component"


def publish_component(
    database: Database, job: EdgePackagingJob, *, identity: ModelIdentity, now: int
) -> EdgePresetDeploymentOutput:
    """Store the component version; a failure is the preset's alone, as at AWS: the packaging job still completes.

    Args:
        database: Where components are.
        job: The edge packaging job, whose package is stored and checked.
        identity: Its model and target.
        now: Microseconds since the epoch.

    Returns:
        What Describe shows: COMPLETED with the component version's ARN, or FAILED with a message that says what to do.
    """
    try:
        preset = parse_preset(
            job.output_config.preset_deployment_config,
            job_name=job.name,
            target_os=identity.target_os,
            target_arch=identity.target_arch,
        )
        return _publish(database, job, preset, now=now)
    except EdgepackError as error:
        return EdgePresetDeploymentOutput(type=PRESET_TYPE, status="FAILED", status_message=error.diagnostics())
