"""Flags over environment over file; what is not known is an error."""

from pathlib import Path

import pytest

from edgepack.settings import Settings, SettingsError, load_settings


def test_flags_over_environment_over_file(tmp_path: Path) -> None:
    (tmp_path / "edgepack.toml").write_text('port = 1\ns3-port = 2\nregion = "eu-west-1"\n')
    settings = load_settings(
        {"port": 3, "region": None}, environ={"EDGEPACK_S3_PORT": "4", "OTHER": "x"}, folder=tmp_path
    )
    assert (settings.port, settings.s3_port, settings.region) == (3, 4, "eu-west-1")


@pytest.mark.parametrize(
    ("environ", "file", "says"),
    [
        ({"EDGEPACK_PROT": "1"}, "", "EDGEPACK_PROT"),
        ({}, "prot = 1", "'prot'"),
        ({"EDGEPACK_PORT": "http"}, "", "port"),
        ({"EDGEPACK_PORT": "70000"}, "", "70000"),
        ({"EDGEPACK_WORKERS": "-1"}, "", "negative"),
        ({"EDGEPACK_ACCOUNT_ID": "12"}, "", "12 digits"),
        ({"EDGEPACK_LOG_LEVEL": "loud"}, "", "loud"),
        ({"EDGEPACK_LOG_FORMAT": "xml"}, "", "xml"),
        ({"EDGEPACK_METRICS": "perhaps"}, "", "metrics"),
        ({"EDGEPACK_STATUS_PORT": "-1"}, "", "status_port"),
        ({"EDGEPACK_OTLP_ENDPOINT": "collector:4317"}, "", "otlp_endpoint"),
        ({"EDGEPACK_SHUTDOWN_DELAY": "-1"}, "", "shutdown_delay"),
        ({"EDGEPACK_SHUTDOWN_DELAY": "nan"}, "", "shutdown_delay"),
        ({}, "port = ", "edgepack.toml"),
        ({"EDGEPACK_CONFIG": "/no/such/file"}, "", "/no/such/file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, environ: dict[str, str], file: str, says: str) -> None:
    (tmp_path / "edgepack.toml").write_text(file)
    with pytest.raises(SettingsError, match=says):
        load_settings({}, environ=environ, folder=tmp_path)


@pytest.mark.parametrize("missing", ["s3_endpoint", "s3_access_key_id", "s3_secret_access_key"])
def test_a_store_of_one_s_own_needs_its_key(tmp_path: Path, missing: str) -> None:
    given = {"s3_endpoint": "http://s3", "s3_access_key_id": "id", "s3_secret_access_key": "secret"}
    assert load_settings(given, environ={}, folder=tmp_path).own_store() == ("http://s3", ("id", "secret"))
    with pytest.raises(SettingsError, match="needs its access key"):
        load_settings(given | {missing: None}, environ={}, folder=tmp_path).own_store()


def test_a_collector_s_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="otlp_endpoint") as raised:
        load_settings({"otlp_endpoint": "http://me:hush@collector:4318"}, environ={}, folder=tmp_path)
    assert "hush" not in raised.value.diagnostics()
    assert "OTEL_EXPORTER_OTLP_HEADERS" in raised.value.diagnostics()


def test_what_watchers_see_is_off_by_default(tmp_path: Path) -> None:
    settings = load_settings({}, environ={}, folder=tmp_path)
    assert (settings.metrics, settings.status_port, settings.otlp_endpoint) == (False, None, None)
    environ = {"EDGEPACK_METRICS": "true", "EDGEPACK_STATUS_PORT": "0"}
    settings = load_settings({"metrics": None}, environ=environ, folder=tmp_path)
    assert (settings.metrics, settings.status_port, settings.status_host) == (True, 0, "127.0.0.1")


def test_secrets_do_not_show(tmp_path: Path) -> None:
    settings = Settings(s3_access_key_id="id", s3_secret_access_key="hush", database="postgresql://me:hush@db/edgepack")
    assert "hush" not in repr(settings)
