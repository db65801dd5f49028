"""TLS in front: unmodified clients through a real nginx with the configuration that is told to operators."""

import datetime as dt
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.reading import DEPLOY
from driving import compiled, packaging_request
from harness import RunningServer

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
HOST_LINE = "proxy_set_header Host $http_host;"

pytestmark = [pytest.mark.server, pytest.mark.skipif(NGINX is None, reason="nginx is not installed")]


def make_certificate(folder: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*form))


@contextmanager
def in_front_of(server: RunningServer, folder: Path, *, host_line: str = HOST_LINE) -> Iterator[str]:
    """The proxy's URL."""
    make_certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    api = server.environment["AWS_ENDPOINT_URL_SAGEMAKER"].removeprefix("http://")
    told = (DEPLOY / "proxy" / "nginx.conf").read_text()
    for ours, here in (
        ("127.0.0.1:8480", api),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/edgepack", str(folder)),
        (HOST_LINE, host_line),
    ):
        assert ours in told
        told = told.replace(ours, here)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    main = f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}} http {{ access_log off; {paths}\n"
    (folder / "nginx.conf").write_text(f"{main}{told}\n}}\n")
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-c", folder / "nginx.conf", "-e", folder / "error.log", "-p", folder])
    try:
        wait_for_port(port)
        yield f"https://localhost:{port}"
    finally:
        process.terminate()
        process.wait(30)


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def client(server: RunningServer, url: str, folder: Path) -> Any:
    session: Any = boto3.Session(
        aws_access_key_id=server.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    once = Config(retries={"total_max_attempts": 1})
    return session.client("sagemaker", endpoint_url=url, verify=str(folder / "fullchain.pem"), config=once)


def test_clients_work_through_it(server: RunningServer, tmp_path: Path) -> None:
    compiled(server, "proxy-source")
    with in_front_of(server, tmp_path) as url:
        sagemaker = client(server, url, tmp_path)
        sagemaker.create_edge_packaging_job(**packaging_request("through-a-proxy", "proxy-source"))
        described = sagemaker.describe_edge_packaging_job(EdgePackagingJobName="through-a-proxy")
        assert described["EdgePackagingJobName"] == "through-a-proxy"
        many = sagemaker.list_edge_packaging_jobs(NameContains="through-a-proxy")
        assert many["EdgePackagingJobSummaries"]


def test_a_proxy_that_changes_the_host_breaks_signatures(server: RunningServer, tmp_path: Path) -> None:
    with (
        in_front_of(server, tmp_path, host_line="proxy_set_header Host $proxy_host;") as url,
        pytest.raises(ClientError, match="InvalidSignatureException"),
    ):
        client(server, url, tmp_path).list_edge_packaging_jobs()
