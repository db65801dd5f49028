"""`edgepack env`: the variables that make any AWS SDK talk to the server."""

import json
import shlex

import click

from edgepack.cli.options import DATA, read_settings
from edgepack.cli.terminal import telling
from edgepack.settings import Settings


def variables(settings: Settings) -> dict[str, str]:
    """The variables, by name.

    Raises:
        NoServerError: No server has been started with this data folder.
    """
    from edgepack.cli.state import DataFolder
    from edgepack.database.engine import Database
    from edgepack.keys.sealing import SecretBox
    from edgepack.service.credentials import first_key

    endpoints = DataFolder(settings.data_folder).read_endpoints()
    database = Database(endpoints.database or settings.database_url)
    try:
        access_key_id, secret = first_key(
            database, SecretBox.open(settings.data_folder), account_id=endpoints.account_id
        )
    finally:
        database.close()
    api = endpoints.api
    return {
        "AWS_ENDPOINT_URL_SAGEMAKER": api,
        "AWS_ENDPOINT_URL_SAGEMAKER_EDGE": api,
        "AWS_ENDPOINT_URL_GREENGRASSV2": api,
        "AWS_ENDPOINT_URL_S3": endpoints.s3,
        "AWS_ENDPOINT_URL_STS": api,
        "AWS_ENDPOINT_URL_KMS": endpoints.kms,
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": endpoints.region,
        # boto3 and the AWS CLI read the region from this one only; the other SDKs from the one above.
        "AWS_DEFAULT_REGION": endpoints.region,
    }


@click.command("env")
@DATA
@click.option("--format", "form", type=click.Choice(["shell", "json"]), default="shell", show_default=True)
def env_command(data: str | None, form: str) -> None:
    """Print the variables that point any AWS SDK at the server; they contain its access key.

    Use it as: eval "$(edgepack env)"
    """
    found = variables(read_settings({"data": data}))
    with telling():
        if form == "json":
            click.echo(json.dumps(found, indent=2))
            return
        click.echo("unset AWS_SESSION_TOKEN AWS_SECURITY_TOKEN")  # another key's, which would go along with ours
        for name, value in found.items():
            click.echo(f"export {name}={shlex.quote(value)}")
