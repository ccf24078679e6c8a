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
from typing import Any, Self, cast

from pydantic import (
    BaseModel,
    Field,
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
from bridge.config.tables import (
    OPTIONS,
    BluetoothConfig,
    BridgeConfig,
    CommandsConfig,
    HomeAssistantConfig,
    HttpConfig,
    LockConfig,
    MqttConfig,
    Table,
    WebhooksConfig,
)

__all__ = ["DEFAULT_FILE", "Config", "ConfigError", "LockConfig", "Mistake", "load"]

DEFAULT_FILE = Path("/etc/lock-bridge/config.toml")

_SOURCE = f"source {secrets.token_hex(8)}"
"""Where `load` leaves it; no key that anybody writes."""


class Config(Table, frozen=True):
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

    def requires_signature(self, lock: LockConfig) -> bool:
        """Tell whether a lock takes from elsewhere what is signed alone."""
        return self.commands.require_signature if lock.require_signature is None else lock.require_signature

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
            lock[OPTIONS] = lock.pop(driver, {})


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
    """Name a driver's own table as it is in the file."""
    return tuple(data["locks"][path[1]]["driver"] if part == OPTIONS else part for part in path)


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
