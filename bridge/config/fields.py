"""The kinds of value that the configuration is made of, each with a sentence for what does not fit."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ValidationInfo

FOLDER = "folder"
"""The validation context's key for the folder that relative paths start from."""

_MOST_SLASHES = 7
_BELOW_PREFIX = 6
"""Slashes of the longest topic after the prefix: `/{id}/rpc/locks/simulate/keypad_code_entry/reply`."""
_BELOW_DISCOVERY = 4
"""Slashes of a Home Assistant discovery topic after its prefix: `/lock/{bridge}/{lock}/config`."""
_LONGEST_NAME = 64

_MAC = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}")
_LISTEN = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})")
_HOST_NAME = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}")


def check_name(value: str) -> str:
    """Check what becomes one level of a topic and the name of a file."""
    if not 1 <= len(value.encode()) <= _LONGEST_NAME:
        raise ValueError(f"must be 1 to {_LONGEST_NAME} bytes long")
    if not value.isprintable() or any(character in " /+#" or character.isspace() for character in value):
        raise ValueError("must not contain spaces, /, + or #, since it is part of topics")
    if value[0] in ".$":
        raise ValueError(f"must not begin with {value[0]}")
    return value


def check_label(value: str) -> str:
    """Check what people call a lock."""
    if not value.strip() or not value.isprintable() or len(value) > _LONGEST_NAME:
        raise ValueError(f"must be 1 to {_LONGEST_NAME} printable characters")
    return value


def _topic_prefix(value: str, deepest: int) -> str:
    levels = value.split("/")
    if not all(levels):
        raise ValueError("must not begin or end with /, nor hold an empty level")
    for level in levels:
        check_name(level)
    if value.count("/") + deepest > _MOST_SLASHES:
        raise ValueError(
            f"must hold fewer than {_MOST_SLASHES - deepest + 1} slashes,"
            f" since no topic may have more than {_MOST_SLASHES}"
        )
    return value


def _reply_prefix(value: str) -> str:
    if not value or value.startswith("$") or not value.isprintable() or any(wild in value for wild in "+#"):
        raise ValueError("must be the beginning of a topic, without + and # and not beginning with $")
    return value


def check_mac(value: str) -> str:
    """Return a Bluetooth address in upper case."""
    upper = value.upper()
    if not _MAC.fullmatch(upper):
        raise ValueError("must be a Bluetooth address such as 54:D2:72:AB:CD:EF")
    return upper


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError('is no known time zone; write a name such as "Europe/Berlin" or "UTC"') from None
    return value


def _listen(value: str) -> str:
    found = _LISTEN.fullmatch(value)
    if not found or not 1 <= int(found[1]) <= 65535:  # noqa: PLR2004 - the highest port
        raise ValueError('must be an address and a port, such as "127.0.0.1:8080" or "[::1]:8080"')
    return value


def _host_name(value: str) -> str:
    """Check a name as a client's `Host` header has it, without a port."""
    if not _HOST_NAME.fullmatch(value):
        raise ValueError('must be a name or an address without a port, such as "bridge.local"')
    return value.lower()


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, reached from nowhere else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _web_url(value: str) -> str:
    """Check a URL to post to; the message never repeats it, since people put tokens there."""
    try:
        parts = urlsplit(value if value.isascii() and value.isprintable() and " " not in value else "")
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        login = parts.username is not None or parts.password is not None
    except ValueError:
        usable, login = False, False
    if not usable or "#" in value:
        raise ValueError("must be a URL such as https://hooks.example/lock-bridge")
    if login:
        raise ValueError("must not hold a user or a password; what is posted is signed instead")
    return value


def _resolved(value: Path, info: ValidationInfo) -> Path:
    """Take a relative path from the configuration's folder."""
    if not value.name or "\0" in str(value):
        raise ValueError("must be a path")
    context: dict[str, Path] = info.context or {}
    return context[FOLDER] / value if FOLDER in context else value


Name = Annotated[str, AfterValidator(check_name)]
"""A level of topics, a name of files: `front_door`."""
Label = Annotated[str, AfterValidator(check_label)]
"""What people call it: `Front door`."""
TopicPrefix = Annotated[str, AfterValidator(lambda value: _topic_prefix(value, _BELOW_PREFIX))]
DiscoveryPrefix = Annotated[str, AfterValidator(lambda value: _topic_prefix(value, _BELOW_DISCOVERY))]
ReplyPrefix = Annotated[str, AfterValidator(_reply_prefix)]
Mac = Annotated[str, AfterValidator(check_mac)]
"""A Bluetooth address, upper case with colons."""
Timezone = Annotated[str, AfterValidator(_timezone)]
Listen = Annotated[str, AfterValidator(_listen)]
HostName = Annotated[str, AfterValidator(_host_name)]
"""What a client calls the bridge: `bridge.local`, `192.168.1.5`, `[fd00::5]`."""
WebUrl = Annotated[str, AfterValidator(_web_url)]
"""`https://hooks.example/lock-bridge`."""
File = Annotated[Path, AfterValidator(_resolved)]


def system_timezone() -> str:
    """Return the machine's time zone by its name, UTC if it has none that is known."""
    try:
        target = str(Path("/etc/localtime").readlink())
    except OSError:
        target = ""
    for name in (os.environ.get("TZ", "").removeprefix(":"), target.partition("zoneinfo/")[2]):
        if name:
            try:
                return _timezone(name)
            except ValueError:
                continue
    return "UTC"


def virtual_address(lock_id: str) -> str:
    """Make up the address of a virtual lock: always the same one, in the range of static random addresses."""
    digest = bytearray(hashlib.sha256(lock_id.encode()).digest()[:6])
    digest[0] |= 0xC0
    return ":".join(f"{byte:02X}" for byte in digest)
