"""What arguments and options may be, by the same rules as in the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bridge.config import fields as config_fields

if TYPE_CHECKING:
    from collections.abc import Callable


def _checked(value: str | None, check: Callable[[str], str]) -> str | None:
    try:
        return value if value is None else check(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def mac(value: str | None) -> str | None:
    """Check a Bluetooth address."""
    return _checked(value, config_fields.check_mac)


def topic_name(value: str | None) -> str | None:
    """Check a lock's id."""
    return _checked(value, config_fields.check_name)


def label(value: str | None) -> str | None:
    """Check a lock's name."""
    return _checked(value, config_fields.check_label)
