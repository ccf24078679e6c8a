"""What the person gives to pair a lock, its PIN or its key: by file or when asked, never by argument, never shown."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.boundary import Exit, Stop, tell
from drivers.base import KeyImporting

if TYPE_CHECKING:
    from drivers.base import Driver


def secrets(driver: Driver, pin_file: Path | None, key_file: Path | None) -> dict[str, Any]:
    """Return `{"pin": …, "key": …}`: digits, and each part of the key by its name; None for what is not given.

    Raises:
        Stop: a file cannot be used, or the PIN is none.
    """
    if not isinstance(driver, KeyImporting):
        return {"pin": _pin(pin_file), "key": key_file and _key(key_file)}
    return {"pin": pin_file and _pin(pin_file), "key": _key(key_file) if key_file else _asked_for(driver)}


def _pin(file: Path | None) -> str | None:
    """Return the security PIN from the file or, on a terminal, from the person; None if there is none."""
    if file:
        text = _read(file, "PIN").strip()
    elif sys.stdin.isatty():
        text = _ask("Security PIN of the lock (Enter if it has none)", secret=True, default="")
    else:
        return None
    if text and not (text.isascii() and text.isdecimal()):
        raise Stop("the PIN must be digits only", Exit.WRONG)
    return text or None


def _key(file: Path) -> dict[str, str]:
    text = _read(file, "key")
    try:
        parts = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # its message quotes the file
        parts = {}
    if not parts or any(isinstance(value, dict | list) for value in parts.values()):
        raise Stop(
            f'the key file {file} must hold a line NAME = "VALUE" for each part of the key', Exit.WRONG
        ) from None
    return {name: str(value) for name, value in parts.items()}


def _asked_for(driver: KeyImporting) -> dict[str, str] | None:
    """Return the key as the person at the terminal gives it; None without a terminal, or if the lock is to make one."""
    if not sys.stdin.isatty():
        return None
    if not driver.key_needed and not typer.confirm(
        "Do you bring a key that the lock knows already? Otherwise it is registered anew", err=True
    ):
        return None
    tell(driver.key_guide)
    parts = {
        part.name: _ask(part.prompt, secret=part.secret, default=None if part.needed else "").strip()
        for part in driver.key_parts
    }
    return {name: text for name, text in parts.items() if text}


def _ask(question: str, *, secret: bool, default: str | None = None) -> str:
    text: str = typer.prompt(question, default, hide_input=secret, show_default=False, err=True)
    return text


def _read(file: Path, what: str) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise Stop(f"the {what} file {file} cannot be read", Exit.WRONG) from None
