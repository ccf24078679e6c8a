"""The configuration: one TOML file, each key of which the environment can override.

Rules:
1. A `Config` that exists is valid in itself; what it needs of the machine is looked at by `preflight`.
2. Types are as in TOML: `"30"` is no number, except in the environment, where all is text.
3. Relative paths start from the file's folder, wherever the bridge is started from.
4. No secret stands in it; secrets are named by file.
"""

from __future__ import annotations

import json
import os
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, cast
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bridge import catalog
from bridge.config import fields
from bridge.config.env import PREFIX, annotation_at, model_in, overlay, unreadable
from bridge.config.lines import KeyPath, locate
from bridge.config.mistakes import TOO_DEEP, ConfigError, Mistake, Source, misfit, sentences, syntax_mistake
from bridge.mqtt import address
from drivers.base import Action, Options
from drivers.virtual.peripheral import VirtualSettings

__all__ = ["DEFAULT_FILE", "Config", "ConfigError", "LockConfig", "Mistake", "load"]

DEFAULT_FILE = Path("/etc/lock-bridge/config.toml")

_OPTIONS = f"options {secrets.token_hex(8)}"
"""Where a driver's own table is validated; no key that anybody writes."""
_SOURCE = f"source {secrets.token_hex(8)}"
"""Where `load` leaves it; no key that anybody writes."""


_M = TypeVar("_M", bound=BaseModel)


class _Table(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """What every table has in common."""


def _strictly(model: type[_M], table: object) -> _M:
    """Validate a driver's table as strictly as our own."""
    return table if isinstance(table, model) else model.model_validate_json(json.dumps(table), strict=True)


class BridgeConfig(_Table, frozen=True):
    """`[bridge]`: the bridge itself."""

    id: fields.Name
    workspace_id: UUID | None = None
    connected_account_id: UUID | None = None
    state_dir: fields.File = Path("/var/lib/lock-bridge")
    timezone: fields.Timezone = Field(default_factory=fields.system_timezone)
    trust_clock: Literal["auto", "always"] = "auto"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that the locks' own clocks are in."""
        return ZoneInfo(self.timezone)


class MqttConfig(_Table, frozen=True):
    """`[mqtt]`: the broker."""

    url: str
    protocol: Literal["5", "3.1.1"] = "5"
    prefix: fields.TopicPrefix = "lockbridge"
    response_prefixes: tuple[fields.ReplyPrefix, ...] = Field(default_factory=lambda known: (f"{known['prefix']}/",))
    username: str | None = None
    password_file: fields.File | None = None
    ca_file: fields.File | None = None
    cert_file: fields.File | None = None
    key_file: fields.File | None = None
    allow_plaintext: bool = False

    @property
    def address(self) -> address.Address:
        """Where the broker is."""
        return address.parse(self.url)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        address.parse(url)
        return url

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found: list[tuple[KeyPath, str]] = []
        broker = self.address
        if not (broker.tls or broker.local or self.allow_plaintext):
            found.append(
                (
                    ("url",),
                    "would send commands to another machine in clear; use mqtts://, or set allow_plaintext = true",
                )
            )
        if not broker.tls:
            files = {"ca_file": self.ca_file, "cert_file": self.cert_file, "key_file": self.key_file}
            found += [
                ((key,), "is of use with mqtts:// only, and url is not that") for key, file in files.items() if file
            ]
        elif self.key_file and not self.cert_file:
            found.append((("key_file",), "needs cert_file too"))
        if self.password_file and self.username is None:
            found.append((("password_file",), "needs username too"))
        return self if not found else misfit(*found)


class CommandsConfig(_Table, frozen=True):
    """`[commands]`: what is accepted, times in seconds."""

    ttl: int = Field(default=30, ge=1)
    max_ttl: int = Field(default=60, ge=1, le=60)
    require_expiry: bool = False
    rate_limit: int = Field(default=15, ge=0)
    """Commands a minute for each lock and action; 0 for no limit."""
    queue_limit: int = Field(default=4, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.ttl > self.max_ttl:
            misfit((("ttl",), f"must be at most max_ttl, which is {self.max_ttl}"))
        return self


class HttpConfig(_Table, frozen=True):
    """`[http]`: the HTTP interface, which is always on a Unix socket, and on TCP if `listen` says where."""

    listen: fields.Listen | None = None
    hosts: tuple[fields.HostName, ...] = Field(default=())
    """Names by which clients call the bridge, besides the address that it listens on."""
    cert_file: fields.File | None = None
    key_file: fields.File | None = None
    allow_plaintext: bool = False
    socket: fields.File | None = None
    """The Unix socket, if not where it is by default."""

    @property
    def address(self) -> tuple[str, int]:
        """Where `listen` says: a host without brackets, and a port."""
        host, _, port = (self.listen or "").rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found: list[tuple[KeyPath, str]] = []
        if self.key_file and not self.cert_file:
            found.append((("key_file",), "needs cert_file too"))
        if self.listen is None:
            given = {"hosts": self.hosts, "cert_file": self.cert_file, "allow_plaintext": self.allow_plaintext}
            found += [((key,), "is of use with listen only") for key, value in given.items() if value]
        elif not (self.cert_file or self.allow_plaintext or fields.is_loopback(self.address[0])):
            found.append(
                (
                    ("listen",),
                    (
                        "would show keys and commands to everyone on the network; set cert_file and key_file,"
                        " or listen on 127.0.0.1, or set allow_plaintext = true"
                    ),
                )
            )
        return self if not found else misfit(*found)


class BluetoothConfig(_Table, frozen=True):
    """`[bluetooth]`: the radio."""

    radio: Literal["bluez", "virtual"] = "bluez"
    adapters: tuple[fields.Mac, ...] = Field(default=())
    """Addresses of the adapters to use; empty for any."""
    scan: Literal["active", "passive", "auto"] = "active"
    max_connections: int = Field(default=3, ge=1, le=32)
    """Links at one time on each adapter."""
    virtual_air: fields.File | None = None
    """The socket of another process that hosts the virtual locks."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.virtual_air and self.radio != "virtual":
            misfit((("virtual_air",), 'is of use with radio = "virtual" only'))
        return self


class HomeAssistantConfig(_Table, frozen=True):
    """`[homeassistant]`: discovery."""

    discovery: bool = True
    prefix: fields.DiscoveryPrefix = "homeassistant"


class WebhooksConfig(_Table, frozen=True):
    """`[webhooks]`: where every event is posted to."""

    url: fields.WebUrl | None = None
    secret_file: fields.File | None = None
    """What the posts are signed with; by default the systemd credential `webhook_secret`."""
    ca_file: fields.File | None = None
    allow_plaintext: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found: list[tuple[KeyPath, str]] = []
        if self.url is None:
            given = {"secret_file": self.secret_file, "ca_file": self.ca_file, "allow_plaintext": self.allow_plaintext}
            found += [((key,), "is of use with url only") for key, value in given.items() if value]
        elif not self.url.startswith("https:"):
            if self.ca_file:
                found.append((("ca_file",), "is of use with https:// only, and url is not that"))
            if not (self.allow_plaintext or fields.is_loopback(urlsplit(self.url).hostname or "")):
                found.append(
                    (
                        ("url",),
                        (
                            "would tell another machine in clear who comes and goes; use https://,"
                            " or set allow_plaintext = true"
                        ),
                    )
                )
        return self if not found else misfit(*found)


class LockConfig(_Table, frozen=True):
    """One of `[[locks]]`."""

    id: fields.Name
    name: fields.Label = Field(default_factory=lambda known: known["id"])
    driver: str
    address: fields.Mac = Field(default_factory=lambda known: fields.virtual_address(known["id"]))
    actions: frozenset[Action] = Field(default=frozenset({Action.LOCK, Action.UNLOCK}))
    connection: Literal["on_demand", "always"] = "on_demand"
    linger: float = Field(default=10, ge=0, le=300, allow_inf_nan=False)
    """Seconds for which a link is kept after its last use."""
    read_log: bool = True
    poll: int | None = Field(default=None, ge=0, le=86400)
    """Seconds between looks for what nothing told of; 0 for never, by default only where a lock gives no hint."""
    virtual: VirtualSettings = Field(default_factory=VirtualSettings)
    options: SerializeAsAny[Options] = Field(
        default_factory=lambda known: catalog.load(known["driver"]).options(), validation_alias=_OPTIONS
    )
    """The driver's own table, `[locks.nuki]`."""

    @field_validator("driver")
    @classmethod
    def _is_installed(cls, driver: str) -> str:
        try:
            catalog.load(driver)
        except catalog.DriverMissing as error:
            raise ValueError(str(error)) from None
        return driver

    @field_validator("actions")
    @classmethod
    def _are_possible(cls, actions: frozenset[Action], info: ValidationInfo) -> frozenset[Action]:
        if not actions:
            raise ValueError('must name at least one action, such as ["lock"]')
        if driver := info.data.get("driver"):
            impossible = actions - catalog.load(driver).capabilities.actions
            if impossible:
                raise ValueError(f'the driver "{driver}" cannot do: {", ".join(sorted(impossible))}')
        return actions

    @field_validator("options", mode="plain")
    @classmethod
    def _are_the_drivers(cls, table: object, info: ValidationInfo) -> Options:
        driver = info.data.get("driver")
        return _strictly(catalog.load(driver).options, table) if driver else Options()

    @field_validator("virtual", mode="plain")
    @classmethod
    def _is_as_strict(cls, table: object) -> VirtualSettings:
        return _strictly(VirtualSettings, table)


class Config(_Table, frozen=True):
    """The whole configuration."""

    bridge: BridgeConfig
    mqtt: MqttConfig
    commands: CommandsConfig = CommandsConfig()
    http: HttpConfig = HttpConfig()
    bluetooth: BluetoothConfig = BluetoothConfig()
    homeassistant: HomeAssistantConfig = HomeAssistantConfig()
    webhooks: WebhooksConfig = WebhooksConfig()
    locks: tuple[LockConfig, ...] = Field(default=())

    source: Source = Field(
        default_factory=Source, validation_alias=_SOURCE, validate_default=True, repr=False, exclude=True
    )
    """Where the keys come from."""

    @field_validator("source", mode="plain")
    @classmethod
    def _is_told_by_load(cls, source: Source, info: ValidationInfo) -> Source:
        context: dict[str, Any] = info.context or {}
        told: Source = context.get(_SOURCE, source)
        return told

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found: list[tuple[KeyPath, str]] = []
        ids: dict[str, int] = {}
        addresses: dict[str, int] = {}
        virtual = self.bluetooth.radio == "virtual"
        for place, lock in enumerate(self.locks):
            if ids.setdefault(lock.id, place) != place:
                found.append((("locks", place, "id"), f"is the id of locks[{ids[lock.id]}] already"))
            elif not virtual and "address" not in lock.model_fields_set:
                found.append((("locks", place, "address"), "is required; lock-bridge scan shows it"))
            elif addresses.setdefault(lock.address, place) != place:
                first = addresses[lock.address]
                found.append((("locks", place, "address"), f"is the address of locks[{first}] already"))
            if not virtual and "virtual" in lock.model_fields_set:
                found.append((("locks", place, "virtual"), 'is of use with [bluetooth] radio = "virtual" only'))
        found += [] if virtual else self._starved()
        return self if not found else misfit(*found)

    def _starved(self) -> list[tuple[KeyPath, str]]:
        """Return the first standing connection that leaves none for the other locks."""
        standing = [place for place, lock in enumerate(self.locks) if lock.connection == "always"]
        room = self.bluetooth.max_connections * max(1, len(self.bluetooth.adapters))
        if len(standing) < len(self.locks):
            room -= 1
        if len(standing) <= room:
            return []
        message = f'leaves no connection for the other locks; at most {room} may be "always", or raise max_connections'
        return [(("locks", standing[room], "connection"), message)]

    def mistake(self, path: KeyPath, message: str) -> Mistake:
        """Return a mistake about a key, with its line if the configuration came from a file."""
        return self.source.mistake(path, message)

    def error(self, path: KeyPath, message: str) -> ConfigError:
        """Return the error to raise about one key."""
        return ConfigError([self.mistake(path, message)], self.source.file)


def _text(file: Path, shown: Path, *, optional: bool) -> str:
    """Return the file's text."""
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        if optional:
            return ""
        message = "there is no such file; make one from config.example.toml, or name another with --config"
    except UnicodeDecodeError:
        message = "is not UTF-8 text"
    except IsADirectoryError:
        message = "is a folder, not a file"
    except NotADirectoryError:
        message = "cannot be there: a part of its path is no folder"
    raise ConfigError([Mistake("", None, message)], shown) from None


def _tables(text: str, shown: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        mistake = syntax_mistake(str(error), text)
    except ValueError:  # Python's limit on the length of numbers
        mistake = Mistake("", None, "a number in it is too long")
    raise ConfigError([mistake], shown) from None


def _part_options(data: Mapping[str, Any]) -> None:
    """Move each lock's table that is its driver's own to where it is validated."""
    for lock in _tables_in(data.get("locks")):
        driver = lock.get("driver")
        if isinstance(driver, str) and driver not in LockConfig.model_fields:
            lock[_OPTIONS] = lock.pop(driver, {})


def _tables_in(value: object) -> list[dict[str, object]]:
    """Return the tables of a list; what is none is left to validation."""
    each = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, object]", one) for one in each if isinstance(one, dict)]


def _options_of(driver: str) -> type[BaseModel] | None:
    try:
        return catalog.load(driver).options
    except catalog.DriverMissing:
        return None


def _as_written(path: KeyPath, data: Mapping[str, Any]) -> KeyPath:
    """fields.Name a driver's own table as it is in the file."""
    return tuple(data["locks"][path[1]]["driver"] if part == _OPTIONS else part for part in path)


def _known(path: KeyPath) -> list[str]:
    """Return the keys that a table may have."""
    model = model_in(annotation_at(Config, path, _options_of))
    if model is LockConfig:
        return [*_keys(model), *catalog.installed()]
    return _keys(model) if model else []


def _keys(model: type[BaseModel]) -> list[str]:
    return [key for key, field in model.model_fields.items() if field.validation_alias is None]


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration.

    Args:
        path: the file; None for the default one, which may be absent if the environment says all that is needed.
        environ: where the keys that override the file are taken from.

    Raises:
        ConfigError: the file is absent or cannot be used; every mistake that was found is named.
        PermissionError: the file may not be read.
    """
    try:
        return _load(path, environ)
    except RecursionError:
        raise ConfigError([Mistake("", None, TOO_DEEP)], path) from None


def _load(path: Path | None, environ: Mapping[str, str]) -> Config:
    file = (path or DEFAULT_FILE).absolute()
    if misread := unreadable(environ):
        raise ConfigError([Mistake(key, None, "is not UTF-8 text in the environment") for key in misread], path or file)
    text = _text(file, path or file, optional=path is None and any(name.startswith(PREFIX) for name in environ))
    data = _tables(text, path or file)
    variables = overlay(data, environ, Config, _options_of)
    _part_options(data)
    source = Source(path or file, locate(text), variables)
    context = {fields.FOLDER: file.parent, _SOURCE: source}
    try:
        return Config.model_validate_json(json.dumps(data, default=str), strict=True, context=context)
    except ValidationError as error:
        found = sentences(error, lambda path: _as_written(path, data), _known)
        mistakes = [source.mistake(key, sentence) for key, sentence in found]
        raise ConfigError(sorted(mistakes, key=lambda mistake: mistake.line or 0), path or file) from None
