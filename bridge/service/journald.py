"""The system's log (systemd-journald), told in its native protocol, so that each value is a field of its own.

Source: systemd.io, "Native Journal Protocol"; the names of fields: systemd.journal-fields(7).
"""

from __future__ import annotations

import logging
import os
import re
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET = Path("/run/systemd/journal/socket")
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7
_TOLD_OTHERWISE = frozenset({"event", "level", "timestamp", "exception"})
"""Told by the message, its priority and its time."""
_NAME_LENGTH = 64


def reads(stream: TextIO) -> bool:
    """Tell whether what is written to a stream goes to journald, as systemd says by JOURNAL_STREAM."""
    try:
        about = os.fstat(stream.fileno())
    except OSError:  # no file stands behind it
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}"


class JournaldHandler(logging.StreamHandler[TextIO]):
    """Sends records with their values as fields, such as LOCK_ID; what cannot be sent so goes to the stream."""

    def __init__(self, stream: TextIO, address: Path = SOCKET) -> None:
        super().__init__(stream)
        self._address = str(address)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        said: object = record.msg  # the values, where structlog is who logs
        values = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        try:
            self._socket.sendto(entry(self.format(record), record.levelno, record.name, values), self._address)
        except OSError:  # journald restarts, or takes nothing of this size
            super().emit(record)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()


def entry(message: str, level: int, logger: str, values: Mapping[str, Any]) -> bytes:
    """Return the datagram of one entry.

    Args:
        message: for people; may have several lines.
        level: as `logging` counts.
        logger: who logs.
        values: become fields under their names in upper case; None is left out.
    """
    priority = next((number for least, number in _PRIORITIES if level >= least), _DEBUG)
    fields = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "lock-bridge", "LOGGER": logger}
    for name, value in values.items():
        key = _field_name(name)
        if value is not None and name not in _TOLD_OTHERWISE and key and key not in fields:
            fields[key] = str(value)
    return b"".join(_field(name, value) for name, value in fields.items())


def _field_name(name: str) -> str:
    """Return what journald takes: upper-case letters, digits and underscores, which begin none that we may send."""
    return re.sub(r"[^A-Z0-9_]", "_", name.upper()).lstrip("_0123456789")[:_NAME_LENGTH]


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="replace")
    if b"\n" in data:
        return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return name.encode() + b"=" + data + b"\n"
