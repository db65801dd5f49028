"""Settings: flags over `EDGEPACK_*` variables over `edgepack.toml`; an unknown key is an error, never ignored."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from edgepack.errors import StateError

WITHOUT_PASSWORD = {
    "s3_endpoint": "Give --s3-access-key-id and EDGEPACK_S3_SECRET_ACCESS_KEY.",
    "kms_endpoint": "Requests to a KMS are signed with the caller's access key.",
    "otlp_endpoint": "Give what the collector asks for as a header, in the environment: OTEL_EXPORTER_OTLP_HEADERS.",
}
"""How else the endpoints of the settings, which are shown in logs and lists of processes, are told who asks."""

ENVIRONMENT_PREFIX = "EDGEPACK_"
SETTINGS_FILE = "edgepack.toml"
CONFIG_VARIABLE = "EDGEPACK_CONFIG"
"""Names another settings file than `./edgepack.toml`."""

_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_ACCOUNT_ID = re.compile(r"[0-9]{12}", re.ASCII)

SHUTDOWN_DELAY_MAX = 300
"""Seconds; longer than load balancers take to notice, and not for ever."""

DEFAULT_ACCOUNT_ID = "000000000000"
DEFAULT_REGION = "us-east-1"

DEFAULT_DRAIN_SECONDS = 5.0
"""Most jobs end within it, and with what else a stop takes it is within the 10 s that container engines allow."""
MAX_DRAIN_SECONDS = 86_400.0
"""A day: what takes longer is begun anew elsewhere."""


class SettingsError(StateError):
    """A setting is unknown, malformed or contradicts another. Nothing was started."""

    code = "InvalidSettings"
    advice = "See `edgepack serve --help` for the settings and their defaults."


class Secret(str):
    """A string that hides itself in logs and tracebacks; use it as any string."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `edgepack serve`, `worker` and `env` can be told.

    Attributes:
        data: Folder of keys, the embedded database and the embedded store.
        host: Address the API listens on.
        port: The API's port; 0 takes any free one.
        s3_port: The embedded store's port; 0 takes any free one.
        workers: Worker processes that `serve` runs, None for half the cores, 0 for none (they run elsewhere); and that
            `worker` runs, None for one.
        drain_seconds: How long a worker that is told to stop goes on with a job, before it hands it over.
        database: SQLAlchemy URL; None for SQLite in `data`.
        s3_endpoint: URL of an S3 endpoint to use in place of the embedded store.
        s3_access_key_id: Key for `s3_endpoint`; the environment's own AWS credentials are never used.
        s3_secret_access_key: Its secret.
        kms_endpoint: KMS endpoint that `edgepack env` hands to clients.
        weed: Path of a `weed` binary to run in place of the one that comes with edgepack.
        account_id: Account of the access key that the first start creates: 12 digits.
        region: The region in ARNs, and the one clients must sign for.
        log_level: `debug`, `info`, `warning` or `error`.
        log_format: `text` or `json`.
        metrics: Whether `/metrics` is there, for anybody who reaches the port.
        status_port: Port of a worker's `/healthz`, `/readyz` and `/metrics`, the first one of several workers, which
            take the next ones; 0 takes any free ones, None for none.
        status_host: Address that they listen on.
        otlp_endpoint: URL of an OpenTelemetry collector; None for no traces.
        shutdown_delay: Seconds that the API goes on serving after SIGTERM, while `/readyz` says no.
    """

    data: str = "./edgepack-data"
    host: str = "127.0.0.1"
    port: int = 8480
    s3_port: int = 8483
    workers: int | None = None
    drain_seconds: float = DEFAULT_DRAIN_SECONDS
    database: str | None = None
    s3_endpoint: str | None = None
    s3_access_key_id: str | None = None
    s3_secret_access_key: str | None = None
    kms_endpoint: str | None = None
    weed: str | None = None
    account_id: str = DEFAULT_ACCOUNT_ID
    region: str = DEFAULT_REGION
    log_level: str = "info"
    log_format: str = "text"
    metrics: bool = False
    status_port: int | None = None
    status_host: str = "127.0.0.1"
    otlp_endpoint: str | None = None
    shutdown_delay: float = 0.0

    @property
    def data_folder(self) -> Path:
        """`data` as an absolute path."""
        return Path(self.data).expanduser().absolute()

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL: the configured one, or SQLite in the data folder."""
        return self.database or f"sqlite:///{self.data_folder / 'edgepack.db'}"

    @property
    def worker_count(self) -> int:
        """Worker processes of a server: a packaging job keeps about two cores busy."""
        return max(1, (os.cpu_count() or 1) // 2) if self.workers is None else self.workers

    def own_store(self) -> tuple[str, tuple[str, str]]:
        """The configured S3 endpoint, and the id and secret of the key for it.

        Raises:
            SettingsError: There is no endpoint, or no key for it.
        """
        if self.s3_endpoint is None or self.s3_access_key_id is None or self.s3_secret_access_key is None:
            raise SettingsError(
                "An S3 endpoint needs its access key.",
                advice="Give --s3-endpoint, --s3-access-key-id and EDGEPACK_S3_SECRET_ACCESS_KEY.",
            )
        return self.s3_endpoint, (self.s3_access_key_id, self.s3_secret_access_key)

    def __repr__(self) -> str:
        shown = msgspec.structs.asdict(self)
        shown["s3_secret_access_key"] = Secret(self.s3_secret_access_key or "")
        shown["database"] = Secret(self.database or "")
        return f"Settings({', '.join(f'{key}={value!r}' for key, value in shown.items())})"


def load_settings(flags: Mapping[str, Any], *, environ: Mapping[str, str], folder: Path) -> Settings:
    """Merge the three sources of settings.

    Args:
        flags: Command-line values by setting name; None means not given.
        environ: The environment; every `EDGEPACK_*` name in it must be a setting.
        folder: Where `edgepack.toml` is looked for, unless `EDGEPACK_CONFIG` names a file.

    Returns:
        The frozen settings, each value checked.

    Raises:
        SettingsError: An unknown key, a malformed value, or a contradiction; the message names the key and its source.
    """
    merged = _from_file(environ, folder) | _from_environment(environ)
    merged |= {key: value for key, value in flags.items() if value is not None}
    try:
        settings = msgspec.convert(merged, Settings, strict=False)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        raise SettingsError(f"The setting {where.rstrip('`')} is not valid: {reason}.") from None
    _check(settings)
    return settings


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        key = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        _require_known(key, f"the environment variable {variable}")
        found[key] = value
    return found


def _from_file(environ: Mapping[str, str], folder: Path) -> dict[str, Any]:
    named = environ.get(CONFIG_VARIABLE)
    path = Path(named) if named else folder / SETTINGS_FILE
    if not named and not path.exists():
        return {}
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"Cannot read the settings file {path}: {error}.") from error
    settings = {key.replace("-", "_"): value for key, value in found.items()}
    for key in settings:
        _require_known(key, str(path))
    return settings


def _require_known(key: str, source: str) -> None:
    if key not in Settings.__struct_fields__:
        known = ", ".join(Settings.__struct_fields__)
        raise SettingsError(f"Unknown setting {key!r} in {source}. Known settings: {known}.")


def _check(settings: Settings) -> None:
    _check_numbers(settings)
    if not _REGION.fullmatch(settings.region):
        raise SettingsError(f"Setting 'region' is {settings.region!r}; a region is e.g. us-east-1.")
    if not _ACCOUNT_ID.fullmatch(settings.account_id):
        raise SettingsError(f"Setting 'account_id' is {settings.account_id!r}; an account is 12 digits.")
    if settings.log_level not in {"debug", "info", "warning", "error"}:
        raise SettingsError(f"Setting 'log_level' is {settings.log_level!r}; use debug, info, warning or error.")
    if settings.log_format not in {"text", "json"}:
        raise SettingsError(f"Setting 'log_format' is {settings.log_format!r}; use text or json.")
    for name in ("database", "s3_access_key_id", "s3_secret_access_key"):
        if getattr(settings, name) == "":
            raise SettingsError(f"Setting {name!r} is empty.", advice="Leave it out, or give it a value.")
    for name in ("s3_endpoint", "kms_endpoint", "otlp_endpoint"):
        url = getattr(settings, name)
        if url is not None and not _is_http_url(url):
            raise SettingsError(f"Setting {name!r} is {url!r}; it must be an http:// or https:// URL.")
        if url is not None and "@" in urlsplit(url).netloc:
            # Without the value: there is a password in it.
            raise SettingsError(f"Setting {name!r} has a user or password in it.", advice=WITHOUT_PASSWORD[name])


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_numbers(settings: Settings) -> None:
    ports = {"port": settings.port, "s3_port": settings.s3_port, "status_port": settings.status_port}
    for name, port in ports.items():
        if port is not None and not 0 <= port <= 65535:  # noqa: PLR2004 - the range of TCP ports
            raise SettingsError(f"Setting {name!r} is {port}; a port is 0 (any free one) to 65535.")
    if settings.workers is not None and settings.workers < 0:
        raise SettingsError(f"Setting 'workers' is {settings.workers}; it cannot be negative.")
    if not 0 <= settings.shutdown_delay <= SHUTDOWN_DELAY_MAX:
        raise SettingsError(
            f"Setting 'shutdown_delay' is {settings.shutdown_delay}; it is 0 to {SHUTDOWN_DELAY_MAX} seconds."
        )
    if not 0 <= settings.drain_seconds <= MAX_DRAIN_SECONDS:
        raise SettingsError(
            f"Setting 'drain_seconds' is {settings.drain_seconds}; it is 0 (hand over at once) to "
            f"{MAX_DRAIN_SECONDS:.0f}."
        )
