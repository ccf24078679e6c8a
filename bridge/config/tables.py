"""The tables of the configuration, each valid in itself."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Literal, Self, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import (
    BaseModel,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bridge import catalog
from bridge.config import fields
from bridge.config.lines import KeyPath
from bridge.config.mistakes import misfit
from bridge.mqtt import address
from drivers.base import Action, Options
from drivers.virtual.peripheral import VirtualSettings

OPTIONS = f"options {secrets.token_hex(8)}"
"""Where a driver's own table is validated; no key that anybody writes."""

_M = TypeVar("_M", bound=BaseModel)


class Table(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """What every table has in common."""


def _strictly(model: type[_M], table: object) -> _M:
    """Validate a driver's table as strictly as our own."""
    return table if isinstance(table, model) else model.model_validate_json(json.dumps(table), strict=True)


class BridgeConfig(Table, frozen=True):
    """`[bridge]`: the bridge itself."""

    id: fields.Name
    workspace_id: UUID | None = None
    connected_account_id: UUID | None = None
    state_dir: fields.File = Path("/var/lib/lock-bridge")
    timezone: fields.Timezone = Field(default_factory=fields.system_timezone)
    trust_clock: Literal["auto", "always"] = "auto"


class MqttConfig(Table, frozen=True):
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


class CommandsConfig(Table, frozen=True):
    """`[commands]`: what is accepted, times in seconds."""

    ttl: int = Field(default=30, ge=1)
    max_ttl: int = Field(default=60, ge=1, le=60)
    require_expiry: bool = False
    rate_limit: int = Field(default=15, ge=0)
    """Commands a minute for each lock and action; 0 for no limit."""
    queue_limit: int = Field(default=4, ge=1)
    require_signature: bool = False
    """For locks that do not say themselves."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.ttl > self.max_ttl:
            misfit((("ttl",), f"must be at most max_ttl, which is {self.max_ttl}"))
        return self


class HttpConfig(Table, frozen=True):
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


class BluetoothConfig(Table, frozen=True):
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


class HomeAssistantConfig(Table, frozen=True):
    """`[homeassistant]`: discovery."""

    discovery: bool = True
    prefix: fields.DiscoveryPrefix = "homeassistant"


class WebhooksConfig(Table, frozen=True):
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


class LockConfig(Table, frozen=True):
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
    require_signature: bool | None = None
    """Whether what comes from elsewhere must be signed; None as `[commands]` says."""
    virtual: VirtualSettings = Field(default_factory=VirtualSettings)
    options: SerializeAsAny[Options] = Field(
        default_factory=lambda known: catalog.load(known["driver"]).options(), validation_alias=OPTIONS
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
