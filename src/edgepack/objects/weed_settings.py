"""What SeaweedFS is told: its command line, its security.toml and its list of S3 users, as plain functions.

Everything here was tried on SeaweedFS 4.48. Its defaults are made for a laptop at home: it listens on all interfaces,
serves every object without a password on its file port, reports statistics to its makers, creates missing buckets on
upload, deletes full ones, and does not fsync. Each of these is turned off below.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgepack.objects.ports import GRPC_OFFSET, LOOPBACK

MEMORY_LIMIT: Final = "300MiB"
"""GOMEMLIMIT: without it an upload of 1 GiB took the process to 720 MiB; with it to about 300, 5-8 % slower."""

LOG_MEGABYTES: Final = 16
LOG_FILES: Final = 2

MAX_VOLUMES: Final = 10_000
"""Slots for volume files. A bucket takes at least one; only the disk's space is to be a limit."""

JWT_KEYS: Final = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
"""Signing keys without which the volume and file ports would serve and take bytes from anybody on this machine."""

GRPC_ROLES: Final = ("master", "volume", "filer", "s3", "admin", "worker", "client", "msg_broker")
"""Components that speak gRPC with each other; each has to show a certificate of our own authority."""

FSYNC_COMMAND: Final = "fs.configure -locationPrefix=/buckets/ -fsync -apply\n"
"""Has every object written through to the disk before the store says it has it. Kept by the store itself."""


@dataclass(frozen=True, slots=True)
class StoreCredential:
    """An access key that the embedded store accepts.

    Attributes:
        access_key: Its id.
        secret_key: Its secret; kept out of the repr.
    """

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The HTTP ports of the store's components; except for S3's, each one's gRPC port is `GRPC_OFFSET` above it."""

    s3: int
    s3_grpc: int
    master: int
    volume: int
    filer: int
    admin: int

    @property
    def filer_grpc(self) -> int:
        """Where the filer answers when it is ready to be configured."""
        return self.filer + GRPC_OFFSET

    def helpers(self) -> list[int]:
        """The ports that were drawn by lot; the one above it that belongs to each is taken too."""
        return [self.s3_grpc, self.master, self.volume, self.filer, self.admin]

    def sockets(self) -> list[Path]:
        """The Unix sockets that SeaweedFS puts where everybody may write, by fixed names, and mostly leaves behind."""
        grpc = {"master": self.master, "volume": self.volume, "filer": self.filer, "admin": self.admin}
        names = [f"{name}-grpc-{port + GRPC_OFFSET}" for name, port in grpc.items()]
        names.append(f"s3-grpc-{self.s3_grpc}")
        return [Path(f"/tmp/seaweedfs-{name}.sock") for name in names]  # noqa: S108 - the choice is not ours


def server_arguments(folder: Path, ports: Ports) -> list[str]:
    """The command line of the store, after the program's name.

    Args:
        folder: The store's own folder, absolute.
        ports: Where to listen.
    """
    return [
        f"-logdir={folder / 'logs'}",
        f"-log_max_size_mb={LOG_MEGABYTES}",
        f"-log_max_files={LOG_FILES}",
        "-alsologtostderr=false",
        f"-config_dir={folder}",
        "mini",
        f"-dir={folder / 'data'}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        "-disableHttp=true",  # of master and filer, whose HTTP ports can delete whole buckets; S3 works without
        "-master.telemetry=false",
        "-webdav=false",
        "-admin.ui=false",
        "-volume.preStopSeconds=0",
        f"-volume.max={MAX_VOLUMES}",
        f"-s3.config={folder / S3_USERS_FILE}",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.port={ports.s3}",
        f"-s3.port.grpc={ports.s3_grpc}",
        f"-master.port={ports.master}",
        f"-volume.port={ports.volume}",
        f"-filer.port={ports.filer}",
        f"-admin.port={ports.admin}",
        f"-filer.localSocket={FILER_SOCKET}",
        f"-s3.localSocket={S3_SOCKET}",
    ]


FILER_SOCKET: Final = "filer.sock"
S3_SOCKET: Final = "s3.sock"
"""Unix sockets, in the store's own folder; without its path, since a socket's has at most 107 bytes (unix(7))."""

S3_USERS_FILE: Final = "weed_s3.json"
SECURITY_FILE: Final = "security.toml"


def shell_arguments(folder: Path, ports: Ports) -> list[str]:
    """The command line of the store's administrative shell, after the program's name."""
    return [
        "-logtostderr=true",
        f"-config_dir={folder}",
        "shell",
        f"-master={LOOPBACK}:{ports.master}",
        f"-filer={LOOPBACK}:{ports.filer}",
    ]


def environment(folder: Path) -> dict[str, str]:
    """The store's whole environment. Nothing is inherited: SeaweedFS takes an S3 user from AWS_ACCESS_KEY_ID."""
    return {"HOME": str(folder), "PATH": "/usr/bin:/bin", "GOMEMLIMIT": MEMORY_LIMIT}


def s3_users(credentials: Sequence[StoreCredential]) -> bytes:
    """The store's list of S3 users: each may do everything.

    Args:
        credentials: Their keys, each one a user of its own so that one can be taken away.
    """
    identities = [
        {
            "name": credential.access_key,
            "credentials": [{"accessKey": credential.access_key, "secretKey": credential.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        for credential in credentials
    ]
    return json.dumps({"identities": identities}, indent=1).encode()


def security_toml(folder: Path, jwt_keys: Mapping[str, str]) -> bytes:
    """The store's security.toml: signed requests between its parts, and certificates on every gRPC port.

    Args:
        folder: Where ``authority.pem``, ``weed.pem`` and ``weed.key`` are.
        jwt_keys: A secret for each of `JWT_KEYS`.
    """
    sections = [f"[{name}]\nkey = {json.dumps(jwt_keys[name])}\nexpires_after_seconds = 10\n" for name in JWT_KEYS]
    sections.append(f"[grpc]\nca = {json.dumps(str(folder / 'authority.pem'))}\n")
    certificate = f"cert = {json.dumps(str(folder / 'weed.pem'))}\nkey = {json.dumps(str(folder / 'weed.key'))}\n"
    sections += [f"[grpc.{role}]\n{certificate}" for role in GRPC_ROLES]
    return "\n".join(sections).encode()
