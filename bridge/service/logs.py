"""What the bridge writes to standard error: lines for people on a terminal, `key=value` lines elsewhere.

Under systemd it goes to the system's log, each value as a field: `journalctl LOCK_ID=front_door`.

Rules:
1. No secret is written: a `SecretStr` hides itself, models are named and not shown, keys that are named as secrets
   are hidden whatever they hold, and bytes are counted.
2. Tracebacks show no local variables.
3. What libraries log goes the same way, but for what they pass on: those that log the radio's traffic are kept from
   their debug level, those that log URLs and headers to warnings.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO

import structlog
from pydantic import BaseModel

from bridge.service import journald

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

_SECRET = frozenset({"credential", "key", "password", "pin", "pin_codes", "secret", "token"})
_TALKATIVE = {
    "bleak": logging.INFO,
    "dbus_fast": logging.INFO,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
}
"""The lowest level of libraries that would log what nobody should read."""


def configure(*, verbose: bool = False, stream: TextIO | None = None) -> None:
    """Set up logging for the process.

    Args:
        verbose: whether to show debug lines too.
        stream: where to; standard error by default.
    """
    output = stream or sys.stderr
    level = logging.DEBUG if verbose else logging.INFO
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    to_journald = journald.reads(output)
    handler = journald.JournaldHandler(output) if to_journald else logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(output, dated=not to_journald),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, lowest in _TALKATIVE.items():
        logging.getLogger(name).setLevel(max(level, lowest))


def hide_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace what must not be written."""
    return {key: "[hidden]" if key in _SECRET else _plain(value) for key, value in event.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401 - log lines take anything
    if isinstance(value, BaseModel):
        return type(value).__name__
    if isinstance(value, bytes | bytearray):
        return f"[{len(value)} bytes]"
    return value


def _renderer(stream: TextIO, *, dated: bool) -> Processor:
    if stream.isatty():
        return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    if not dated:
        return _undated
    return _lines(["timestamp", "level", "event"])


def _lines(order: list[str]) -> structlog.processors.LogfmtRenderer:
    return structlog.processors.LogfmtRenderer(key_order=order, drop_missing=True, bool_as_flag=False)


def _undated(logger: Any, method: str, event: EventDict) -> str:  # noqa: ANN401 - a processor's signature
    """Render for a log that keeps time and priority itself: the sentence first, then the values."""
    sentence = str(event.pop("event", ""))
    trouble = event.pop("exception", None)
    values = {key: value for key, value in event.items() if key not in {"timestamp", "level"}}
    line = f"{sentence} {_lines([])(logger, method, values)}".rstrip()
    return line if trouble is None else f"{line}\n{trouble}"
