"""Where a secret is looked for."""

from bridge.config import secret_files
from bridge.config.secret_files import located


def test_the_file_that_is_configured_comes_first_even_if_it_is_not_there(tmp_path):
    (tmp_path / "mqtt_password").touch()
    file = tmp_path / "elsewhere"
    assert located(file, "mqtt_password", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == file


def test_else_it_is_the_credential_that_systemd_gave_the_service(tmp_path):
    (tmp_path / "mqtt_password").touch()
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert located(None, "mqtt_password", environ) == tmp_path / "mqtt_password"
    assert located(None, "mqtt_key", environ) is None


def test_a_folder_of_credentials_that_cannot_be_read_holds_none(tmp_path):
    (tmp_path / "file").touch()
    assert located(None, "mqtt_password", {"CREDENTIALS_DIRECTORY": str(tmp_path / "file")}) is None


def test_outside_the_service_it_is_looked_for_where_systemd_would(tmp_path, monkeypatch):
    monkeypatch.setattr(secret_files, "CREDSTORE", tmp_path)
    assert located(None, "mqtt_password", {}) is None
    (tmp_path / "lock-bridge.mqtt_password").touch()
    assert located(None, "mqtt_password", {}) == tmp_path / "lock-bridge.mqtt_password"


def test_within_the_service_nothing_else_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(secret_files, "CREDSTORE", tmp_path)
    (tmp_path / "lock-bridge.mqtt_password").touch()
    assert located(None, "mqtt_password", {"CREDENTIALS_DIRECTORY": str(tmp_path / "given")}) is None
