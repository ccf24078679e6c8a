"""How to reach the broker, from the configuration."""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import SecretStr

from bridge.config import Config
from bridge.config.mistakes import ConfigError
from bridge.config.secret_files import located
from bridge.mqtt.broker import Settings, Will

PASSWORD = "mqtt_password"  # noqa: S105 - a name
"""The systemd credential that holds the password."""
KEY = "mqtt_key"
"""The systemd credential that holds the key of the bridge's certificate."""


def mqtt_settings(config: Config, will: Will | None = None) -> Settings:
    """Return what a session is opened with; reads the password's and the certificates' files.

    The broker keeps the session for the longest time to live, so that it forgets older commands by itself.

    Raises:
        ConfigError: one of the files cannot be read or is not what it should be.
    """
    address = config.mqtt.address
    secret = password(config)
    return Settings(
        client_id=f"lockbridge-{config.bridge.id}",
        host=address.host,
        port=address.port,
        unix_path=address.path,
        loopback_only=address.local and not (address.tls or config.mqtt.allow_plaintext),
        tls=_tls(config) if address.tls else None,
        username=config.mqtt.username,
        password=secret.get_secret_value() if secret else None,
        protocol=5 if config.mqtt.protocol == "5" else 4,
        session_expiry=config.commands.max_ttl,
        will=will,
    )


def password(config: Config) -> SecretStr | None:
    """Return the broker's password: from `password_file`, else from the systemd credential `mqtt_password`.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """
    if config.mqtt.username is None:
        return None
    file = located(config.mqtt.password_file, PASSWORD)
    if file is None:
        return None
    try:
        secret = file.read_text("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise _refusal(config, "password_file", f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _refusal(config, "password_file", f"{file} is not UTF-8 text") from None
    if not secret:
        raise _refusal(config, "password_file", f"{file} is empty; write the password into it")
    return SecretStr(secret)


def _tls(config: Config) -> ssl.SSLContext:
    authorities = _readable(config, "ca_file", config.mqtt.ca_file)
    try:
        context = ssl.create_default_context(cafile=authorities)
    except ssl.SSLError:
        raise _refusal(config, "ca_file", f"{authorities} holds no PEM certificate") from None
    if certificate := _readable(config, "cert_file", config.mqtt.cert_file):
        key = _readable(config, "key_file", located(config.mqtt.key_file, KEY))
        try:
            context.load_cert_chain(certificate, key, password="")
        except (ssl.SSLError, ValueError):
            raise _refusal(
                config, "cert_file", "cert_file and key_file are no matching PEM certificate and unencrypted key"
            ) from None
    return context


def _readable(config: Config, key: str, file: Path | None) -> Path | None:
    """Return the file if it can be read."""
    try:
        if file:
            file.read_bytes()
    except OSError as error:
        raise _refusal(config, key, f"{file} cannot be read: {error.strerror}") from None
    return file


def _refusal(config: Config, key: str, message: str) -> ConfigError:
    return config.error(("mqtt", key), message)
