"""The one way this service makes S3 clients: pinned to its own settings, deaf to the environment it was started in.

A user's ``AWS_PROFILE``, ``AWS_ENDPOINT_URL_S3`` or ``~/.aws/config`` are made for that user's own commands (and
`edgepack env` prints some of them); none of them may send the service's requests elsewhere or sign them as somebody
else. Only the proxy that a network asks for (``HTTPS_PROXY``) is taken from there, and never for this very machine.
"""

import ipaddress
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from edgepack.errors import StateError
from edgepack.objects.address import S3Address
from edgepack.objects.errors import ObjectStoreError, translate

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS: Final = 5.0
"""How long a TCP connection may take."""

SILENT_SECONDS: Final = 60.0
"""How long the store may be silent. A server-side copy of a part says nothing until it is done."""

TOTAL_ATTEMPTS: Final = 3
"""Tries of one request, the first included, with botocore's own back-off (at most 20 s) between them."""

RANGE_SILENT_SECONDS: Final = 10.0
"""How long the store may be silent while a range is read. A job that is stopped waits for the reads on their way."""

POOL_CONNECTIONS: Final = 16
"""Kept connections of one client: readers, copiers and uploaders of one pass at once, and some to spare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where a store is and who asks.

    Attributes:
        endpoint: Base URL of an S3 server, or None for AWS itself.
        region: Region to sign for.
        access_key: Access key id.
        secret_key: Its secret; kept out of the repr.
        session_token: Belongs to temporary credentials only; kept out of the repr.
        ca_bundle: PEM file of the authorities to trust instead of the public ones, for a store with a private one.
    """

    endpoint: str | None
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    ca_bundle: Path | None = None

    def __post_init__(self) -> None:
        """Check the endpoint's form, so that a mistyped one fails at start-up and not at the first job.

        Raises:
            StateError: It is not an ``http`` or ``https`` URL of a host.
        """
        if self.endpoint is None:
            return
        parts = urlsplit(self.endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise StateError(f"The S3 endpoint {self.endpoint!r} is not an http:// or https:// URL.")

    @property
    def on_loopback(self) -> bool:
        """Whether the endpoint is on this very machine, where no proxy may stand in between."""
        host = urlsplit(self.endpoint).hostname if self.endpoint is not None else None
        if host is None:
            return False
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def make_clients(connection: Connection) -> "tuple[S3Client, S3Client]":
    """Make two S3 clients, which may be shared between threads: one for everything, and one for reading ranges.

    The latter does not retry by itself and does not wait long: whoever reads ranges knows better when to stop trying.
    Importing botocore and loading its S3 model takes about 0.3 s and 50 MB, hence the imports inside.
    """
    import botocore.session  # noqa: PLC0415 - costly, see above

    session = botocore.session.Session(session_vars=_deaf_variables(botocore.session.Session.SESSION_VARIABLES))
    everything, ranges = (
        session.create_client(
            "s3",
            region_name=connection.region,
            endpoint_url=connection.endpoint,
            aws_access_key_id=connection.access_key,
            aws_secret_access_key=connection.secret_key,
            aws_session_token=connection.session_token,
            verify=str(connection.ca_bundle) if connection.ca_bundle is not None else True,
            config=_config(connection, silent_seconds=silent_seconds, attempts=attempts),
        )
        for silent_seconds, attempts in ((SILENT_SECONDS, TOTAL_ATTEMPTS), (RANGE_SILENT_SECONDS, 1))
    )
    return cast("S3Client", everything), cast("S3Client", ranges)


def _config(connection: Connection, *, silent_seconds: float, attempts: int) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - costly, see make_clients

    options: dict[str, Any] = {
        "signature_version": "s3v4",
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": silent_seconds,
        "retries": {"mode": "standard", "total_max_attempts": attempts},
        "max_pool_connections": POOL_CONNECTIONS,
        "tcp_keepalive": True,
        "ignore_configured_endpoint_urls": True,
        "use_fips_endpoint": False,
        "use_dualstack_endpoint": False,
        "proxies": {} if connection.on_loopback else None,
        # Every body is bytes in memory, so its SHA-256 is signed with the request and checked by every S3 server there
        # is. The newer checksum headers add nothing to that, cost a second pass, and some servers do not know them.
        "request_checksum_calculation": "when_required",
        # Checksums of whole objects say nothing about ranges, and ranges are all that is read; what is read is checked
        # against the archive's own CRC-32, its length and its ETag.
        "response_checksum_validation": "when_required",
        "s3": {
            "addressing_style": "auto" if connection.endpoint is None else "path",
            "payload_signing_enabled": True,
            "us_east_1_regional_endpoint": "regional",
            "use_accelerate_endpoint": False,
            "use_arn_region": False,
        },
    }
    return Config(**options)


def _deaf_variables(variables: dict[str, tuple[Any, Any, Any, Any]]) -> dict[str, tuple[Any, Any, Any, Any]]:
    """The settings of botocore with the names of their environment variables taken away and no files to read."""
    deaf = {name: (key, None, default, convert) for name, (key, _, default, convert) in variables.items()}
    deaf["config_file"] = deaf["credentials_file"] = (None, None, os.devnull, None)
    return deaf


@contextmanager
def translated(address: S3Address, action: str, *, kms_key_id: str | None = None) -> Iterator[None]:
    """Turn whatever botocore, urllib3 or the socket raises inside into this room's errors.

    Args:
        address: What the call is about.
        action: What is being done, as a verb phrase, for the message.
        kms_key_id: The KMS key that the store is asked to use, if any.

    Raises:
        ObjectStoreError: One of its subclasses, instead of the original, which is kept as the cause.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - costly, see make_clients
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - likewise
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - comes with botocore

    try:
        yield
    except ObjectStoreError:
        raise
    except (ClientError, BotoCoreError, ResponseParserError, HTTPError, OSError) as error:
        raise translate(error, address, action, kms_key_id=kms_key_id) from error


def told(answer: Mapping[str, Any], name: str) -> Any:
    """What an answer says under a name that it must have.

    To be called inside `translated`: an answer may come to less than the store has sent, and botocore takes what there
    is. Nobody knows then whether the store has done what it was asked.

    Raises:
        ConnectionError: It says nothing of the sort.
    """
    try:
        return answer[name]
    except KeyError:
        raise ConnectionError(f"the answer has no {name}") from None
