"""Signing keys: made once, readable by the owner only, of a profile that other verifiers accept."""

import base64
import stat
import subprocess
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from edgepack.errors import StateError
from edgepack.keys.signing import (
    SigningKeyError,
    ensure_signing_keys,
    export_trust,
    load_signer,
    signer_from_key_file,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILES = ("root.key.pem", "root.pem", "signing.key.pem", "signing.pem")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    ensure_signing_keys(tmp_path, now=NOW)
    return tmp_path


def contents(data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (data / "keys").iterdir()}


def pem(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_every_key_file_is_the_owners_alone(data: Path) -> None:
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data / "keys").iterdir()} == dict.fromkeys(
        FILES, 0o600
    )
    assert stat.S_IMODE((data / "keys").stat().st_mode) == 0o700


def test_a_second_start_keeps_the_keys(data: Path) -> None:
    before = contents(data)
    signer = ensure_signing_keys(data, now=NOW + timedelta(days=400))
    assert contents(data) == before
    assert signer.public_key == load_signer(data).public_key


def test_the_one_who_makes_keys_is_told(tmp_path: Path) -> None:
    told: list[Path] = []
    ensure_signing_keys(tmp_path, now=NOW, made=told.append)
    ensure_signing_keys(tmp_path, now=NOW, made=told.append)
    assert told == [tmp_path]


def test_signatures_verify_with_the_signing_certificate(data: Path) -> None:
    signer = load_signer(data)
    certificate = x509.load_der_x509_certificate(signer.certificate_chain[0])
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signer.sign(b"message"), b"message", ec.ECDSA(hashes.SHA256()))


def test_openssl_accepts_the_chain_but_not_for_a_web_server(data: Path) -> None:
    def verify(*flags: str) -> "subprocess.CompletedProcess[str]":
        root, signing = data / "keys" / "root.pem", data / "keys" / "signing.pem"
        command = ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), "-CAfile", str(root)]
        return subprocess.run([*command, *flags, str(signing)], capture_output=True, text=True, check=False)

    assert verify("-purpose", "any").returncode == 0, verify("-purpose", "any").stderr
    assert verify("-purpose", "sslserver").returncode != 0


def test_the_certificates_outlive_devices_and_end_in_order(data: Path) -> None:
    signing, root = (x509.load_der_x509_certificate(der) for der in load_signer(data).certificate_chain)
    assert signing.not_valid_before_utc < NOW
    assert NOW + timedelta(days=9 * 365) < signing.not_valid_after_utc < root.not_valid_after_utc
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


def test_export_trust_gives_the_root_and_no_private_key(data: Path) -> None:
    exported = export_trust(data)
    assert x509.load_pem_x509_certificate(exported).subject == x509.load_pem_x509_certificate(exported).issuer
    assert b"PRIVATE" not in exported


def remove(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    path.write_bytes(b"damaged")


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("root.pem", remove),
        ("root.pem", damage),
        ("signing.key.pem", remove),
        ("signing.key.pem", damage),
        ("signing.pem", damage),
    ],
)
def test_damaged_keys_are_told_and_never_replaced(data: Path, name: str, harm: Callable[[Path], None]) -> None:
    harm(data / "keys" / name)
    before = contents(data)
    with pytest.raises(SigningKeyError, match=name.replace(".", r"\.")):
        ensure_signing_keys(data, now=NOW)
    assert contents(data) == before


def test_a_first_start_that_was_cut_short_is_finished_under_the_same_root(data: Path) -> None:
    root = export_trust(data)
    (data / "keys" / "signing.pem").unlink()
    signer = ensure_signing_keys(data, now=NOW)
    assert export_trust(data) == root
    assert len(signer.certificate_chain) == 2


def test_a_lost_root_key_never_costs_the_root(data: Path) -> None:
    for name in ("signing.pem", "root.key.pem"):
        (data / "keys" / name).unlink()
    before = contents(data)
    with pytest.raises(SigningKeyError, match=r"root\.key\.pem cannot be read"):
        ensure_signing_keys(data, now=NOW)
    assert contents(data) == before


def test_files_of_two_folders_do_not_mix(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    ensure_signing_keys(other, now=NOW)
    (data / "keys" / "root.pem").write_bytes(export_trust(other))
    with pytest.raises(SigningKeyError, match="was not issued by"):
        load_signer(data)
    (data / "keys" / "signing.key.pem").write_bytes((other / "keys" / "signing.key.pem").read_bytes())
    with pytest.raises(SigningKeyError, match="not that of the certificate"):
        load_signer(data)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(StateError, match="cannot be made"):
        ensure_signing_keys(tmp_path / "data", now=NOW)


def test_a_key_file_may_hold_the_bare_key(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    assert signer_from_key_file(tmp_path / "key.pem").certificate_chain == ()


def test_a_key_file_may_hold_the_certificates_too(data: Path, tmp_path: Path) -> None:
    folder = data / "keys"
    parts = [(folder / name).read_bytes() for name in ("signing.key.pem", "signing.pem", "root.pem")]
    (tmp_path / "key.pem").write_bytes(b"".join(parts))
    signer = signer_from_key_file(tmp_path / "key.pem")
    assert list(signer.certificate_chain) == list(load_signer(data).certificate_chain)
    (tmp_path / "key.pem").write_bytes(b"".join((parts[0], parts[2], parts[1])))
    with pytest.raises(SigningKeyError, match="not that of the certificate"):
        signer_from_key_file(tmp_path / "key.pem")
    (tmp_path / "key.pem").write_bytes(parts[0] + parts[1])
    with pytest.raises(SigningKeyError, match="the last one and not a root"):
        signer_from_key_file(tmp_path / "key.pem")


def test_a_certificate_that_is_not_for_signing_is_refused_by_what_it_lacks(data: Path, tmp_path: Path) -> None:
    """A root, which has no extended key usage."""
    parts = [(data / "keys" / name).read_bytes() for name in ("root.key.pem", "root.pem")]
    (tmp_path / "key.pem").write_bytes(b"".join(parts))
    with pytest.raises(SigningKeyError, match=r"lacks: extended key usage\.") as refused:
        signer_from_key_file(tmp_path / "key.pem")
    assert "code signing" in refused.value.advice


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (pem(rsa.generate_private_key(65537, 2048)), "not hold an elliptic curve key"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "secp384r1; P-256 is needed"),
        (b"nothing of the kind", "does not hold an unencrypted PEM private key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged certificate"),
    ],
)
def test_other_key_files_are_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(SigningKeyError, match=told) as refused:
        signer_from_key_file(tmp_path / "key.pem")
    assert "openssl ecparam" in refused.value.advice


def test_a_certificate_with_a_serial_number_below_zero_is_damaged_and_no_warning(tmp_path: Path) -> None:
    ensure_signing_keys(tmp_path, now=NOW)
    der = x509.load_pem_x509_certificate(export_trust(tmp_path)).public_bytes(serialization.Encoding.DER)
    before, version, serial = der.partition(b"\xa0\x03\x02\x01\x02")
    body = base64.encodebytes(before + version + serial[:2] + b"\x81" + serial[3:])
    (tmp_path / "key.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(SigningKeyError, match="damaged certificate"):
            signer_from_key_file(tmp_path / "key.pem")
    assert warned == []


def test_the_private_key_is_not_shown(data: Path) -> None:
    assert repr(load_signer(data)) == "<FileSigner with 2 certificates>"
