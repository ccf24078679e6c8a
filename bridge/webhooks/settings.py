"""Where events are posted to and how they are signed, from the configuration."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from bridge.config import Config
from bridge.config.mistakes import ConfigError
from bridge.config.secret_files import located
from bridge.webhooks.signing import Signer

SECRET = "webhook_secret"  # noqa: S105 - a name
"""The systemd credential that holds the secret."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What posting needs."""

    url: str = field(repr=False)
    """Not for logs: people put tokens into it."""
    signer: Signer
    tls: ssl.SSLContext | None
    """None for a URL without TLS."""


def webhook_settings(config: Config) -> Settings | None:
    """Return what posting needs, None where nothing is posted; reads the secret's and the authorities' files.

    Raises:
        ConfigError: one of the files is missing, cannot be read, or is not what it should be.
    """
    url = config.webhooks.url
    if url is None:
        return None
    return Settings(url, _signer(config), _tls(config) if url.startswith("https:") else None)


def _signer(config: Config) -> Signer:
    file = located(config.webhooks.secret_file, SECRET)
    if file is None:
        raise _refusal(
            config,
            "url",
            "needs secret_file too, to sign what is posted; make one with:"
            ' printf "whsec_%s\\n" "$(openssl rand -base64 32)" > webhook_secret',
        )
    try:
        return Signer.parse(file.read_text("utf-8").strip())
    except OSError as error:
        raise _refusal(config, "secret_file", f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _refusal(config, "secret_file", f"{file} is not UTF-8 text") from None
    except ValueError as error:
        raise _refusal(config, "secret_file", f"{file} {error}") from None


def _tls(config: Config) -> ssl.SSLContext:
    file = config.webhooks.ca_file
    try:
        return ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        raise _refusal(config, "ca_file", f"{file} holds no PEM certificate") from None
    except OSError as error:
        raise _refusal(config, "ca_file", f"{file} cannot be read: {error.strerror}") from None


def _refusal(config: Config, key: str, message: str) -> ConfigError:
    return config.error(("webhooks", key), message)
