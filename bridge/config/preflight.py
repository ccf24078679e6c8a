"""What a valid configuration needs of this machine, and what in it is unsafe."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bridge import catalog
from bridge.config import DEFAULT_FILE, Config
from bridge.config.fields import is_loopback
from bridge.config.mistakes import ConfigError, Mistake
from bridge.http.sockets import tls
from bridge.keys.credentials import CredentialError, CredentialMissing, Credentials
from bridge.keys.signing_keys import SigningKeyError, SigningKeys
from bridge.mqtt.settings import mqtt_settings
from bridge.webhooks.settings import webhook_settings

DAEMON_USER = "lock-bridge"
"""Whom the service runs as."""


def check(config: Config) -> list[Mistake]:
    """Return what keeps the bridge from running with this configuration, here and as this user. Changes nothing."""
    return [*_state_dir(config), *_broker_files(config), *_webhook_files(config), *_certificate(config), *_keys(config)]


def warnings(config: Config) -> list[Mistake]:
    """Return what works but is unsafe or surprising."""
    return [
        *_broker_warnings(config),
        *_command_warnings(config),
        *_http_warnings(config),
        *_lock_warnings(config),
        *_environment_warnings(config),
    ]


def make_state_dir(config: Config) -> None:
    """Make the state folder, for its owner alone, if it is not there yet.

    Raises:
        ConfigError: it cannot be made or cannot be written; says what to do.
    """
    if mistakes := _state_dir(config):
        raise ConfigError(mistakes, config.source.file)
    folder = config.bridge.state_dir
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _leave_to_daemon(folder)
    except OSError as error:
        raise config.error(("bridge", "state_dir"), f"{folder} cannot be made: {error.strerror}") from None


def _leave_to_daemon(folder: Path) -> None:
    """Run as root, give what was made to the service's user, if there is one: what is put there later follows."""
    if os.geteuid() == 0:
        with suppress(KeyError):
            user = pwd.getpwnam(DAEMON_USER)
            os.chown(folder, user.pw_uid, user.pw_gid)


def _state_dir(config: Config) -> list[Mistake]:
    trouble = _unusable(config.bridge.state_dir)
    return [config.mistake(("bridge", "state_dir"), trouble)] if trouble else []


def _unusable(folder: Path) -> str | None:
    """Say why the state folder, or the first of its parents that there is, does not serve."""
    place = folder
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        return f"{place} is not a folder"
    if os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        return None
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return (
            f"{place} is on a disk that is mounted read-only, as the kernel does with one that fails; "
            "look why (`dmesg`), and mount it for writing"
        )
    user = _user()
    remedy = f"chown {user} {folder}" if place == folder else f"install -d -m 700 -o {user} {folder}"
    return f"{place} cannot be written by the user {user}; as root do: {remedy}"


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _broker_files(config: Config) -> list[Mistake]:
    try:
        mqtt_settings(config)
    except ConfigError as error:
        return error.mistakes
    return []


def _webhook_files(config: Config) -> list[Mistake]:
    try:
        webhook_settings(config)
    except ConfigError as error:
        return error.mistakes
    return []


def _certificate(config: Config) -> list[Mistake]:
    try:
        tls(config)
    except ConfigError as error:
        return error.mistakes
    return []


def _keys(config: Config) -> Iterator[Mistake]:
    for place, error in _unusable_keys(config):
        if not isinstance(error, CredentialMissing):
            yield config.mistake(("locks", place, "id"), str(error))


def _unusable_keys(config: Config) -> Iterator[tuple[int, CredentialError]]:
    """Return the locks whose stored key cannot be used; virtual ones of this process need none."""
    credentials = Credentials(config.bridge.state_dir)
    here = config.bluetooth.radio == "virtual" and config.bluetooth.virtual_air is None
    for place, lock in enumerate(() if here else config.locks):
        try:
            credentials.load(lock.id, catalog.load(lock.driver))
        except CredentialError as error:
            yield place, error


def _broker_warnings(config: Config) -> Iterator[Mistake]:
    broker = config.mqtt.address
    if not broker.tls and not broker.local:
        yield config.mistake(
            ("mqtt", "url"),
            f"commands go to {broker.host} in clear: anyone on the way can read and forge them; use mqtts://",
        )
    if not broker.local and config.mqtt.username is None and config.mqtt.cert_file is None:
        yield config.mistake(
            ("mqtt", "url"),
            "the broker is used without a login; set username and password_file, or cert_file and key_file, "
            "and let the broker refuse everyone else",
        )
    if config.mqtt.protocol == "3.1.1":
        yield config.mistake(
            ("mqtt", "protocol"),
            "MQTT 3.1.1 knows no message expiry and marks retained commands only on some brokers; use 5 if you can",
        )
    file = config.mqtt.password_file
    if file and file.exists() and file.stat().st_mode & stat.S_IRWXO:
        yield config.mistake(("mqtt", "password_file"), f"every user can read {file}; do: chmod o= {file}")


def _command_warnings(config: Config) -> Iterator[Mistake]:
    if config.commands.rate_limit == 0:
        yield config.mistake(("commands", "rate_limit"), "nothing limits how often a lock is moved")
    if config.bridge.trust_clock == "always":
        yield config.mistake(
            ("bridge", "trust_clock"), "expires_at is believed even while this machine's clock is wrong"
        )


def _http_warnings(config: Config) -> Iterator[Mistake]:
    http = config.http
    if http.listen is None:
        return
    if not (http.cert_file or is_loopback(http.address[0])):
        yield config.mistake(
            ("http", "listen"),
            "keys and commands go over the network in clear: whoever reads a key can open the doors; "
            "set cert_file and key_file",
        )
    file = http.key_file
    if file and file.exists() and file.stat().st_mode & stat.S_IRWXO:
        yield config.mistake(("http", "key_file"), f"every user can read {file}; do: chmod o= {file}")


def _lock_warnings(config: Config) -> Iterable[Mistake]:
    virtual = config.bluetooth.radio == "virtual"
    yield from _signature_warnings(config)
    if virtual and config.source.file == DEFAULT_FILE:
        yield config.mistake(("bluetooth", "radio"), "all locks are virtual: no real door is moved")
    for place, lock in enumerate(config.locks):
        if lock.connection == "always" and not virtual:
            yield config.mistake(
                ("locks", place, "connection"), "a standing connection empties the lock's battery sooner"
            )
    for place, error in _unusable_keys(config):
        if isinstance(error, CredentialMissing):
            yield config.mistake(("locks", place, "id"), str(error))


def _signature_warnings(config: Config) -> Iterator[Mistake]:
    wanted = [place for place, lock in enumerate(config.locks) if config.requires_signature(lock)]
    if not wanted:
        return
    try:
        keys = SigningKeys(config.bridge.state_dir).list()
    except SigningKeyError as error:
        yield config.mistake(("locks", wanted[0], "require_signature"), f"no signing key is good: {error}")
        return
    for place in wanted:
        if not any(key.covers(config.locks[place].id) for key in keys):
            yield config.mistake(
                ("locks", place, "require_signature"),
                "there is no signing key for this lock, so it is moved at the gateway alone; "
                "make one with: lock-bridge signing-key create",
            )


def _environment_warnings(config: Config) -> Iterator[Mistake]:
    """Tell of what people put secrets into: a unit's environment is no secret from anybody."""
    for path in config.source.variables:
        if path[0] == "webhooks" and config.webhooks.url and path[1:] in ((), ("url",)):
            message = "write it into the file if a token is part of it: systemctl show tells a service's environment"
            yield config.mistake(("webhooks", "url"), message)
