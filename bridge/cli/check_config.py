"""`lock-bridge check-config`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.boundary import Exit, fail, show_json, warn

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.config import Config
    from bridge.config.mistakes import Mistake


def check_config(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    online: Annotated[bool, typer.Option("--online", help="Connect to the broker once, too.")] = False,
) -> None:
    """Check the configuration: each mistake is named by its key and line, and what is unsafe is warned of.

    Exits with 2 if there are mistakes, with 1 if --online did not reach the broker or was refused.
    """
    from bridge.config import DEFAULT_FILE, load, preflight
    from bridge.config.mistakes import ConfigError

    file: Path = context.obj or DEFAULT_FILE
    config: Config | None = None
    warnings: list[Mistake] = []
    try:
        config = load(context.obj)
        mistakes = preflight.check(config)
        warnings = preflight.warnings(config)
    except ConfigError as error:
        mistakes = error.mistakes
    trouble = _probe(config) if online and config and not mistakes else None
    if as_json:
        show_json(
            {
                "ok": not mistakes and trouble is None,
                "file": str(file),
                "mistakes": [asdict(mistake) for mistake in mistakes],
                "warnings": [asdict(warning) for warning in warnings],
                "broker": trouble or "reached" if online and not mistakes else None,
            }
        )
    else:
        _print(str(file), mistakes, warnings, trouble)
        if not mistakes and trouble is None:
            typer.echo(f"{file} is valid{' and the broker takes it' if online else ''}.")
    if mistakes or trouble:
        raise typer.Exit(Exit.WRONG if mistakes else Exit.FAILED)


def _print(file: str, mistakes: list[Mistake], warnings: list[Mistake], trouble: str | None) -> None:
    for warning in warnings:
        warn(warning.told(file))
    for mistake in mistakes:
        fail(mistake.told(file))
    if trouble:
        fail(trouble)


def _probe(config: Config) -> str | None:
    """Connect to the broker once; return what is in the way, and what to do."""
    import anyio

    from bridge.mqtt.broker import BrokerRefused, MqttError
    from bridge.mqtt.session import probe
    from bridge.mqtt.settings import mqtt_settings

    settings = mqtt_settings(config)
    try:
        anyio.run(probe, settings)
    except BrokerRefused as error:
        return (
            f"the broker at {settings.address} refuses the bridge: {error.reason}; "
            f"check username and password_file, and what the broker allows them"
        )
    except MqttError as error:
        return (
            f"the broker at {settings.address} was not reached: {error.reason}; "
            f"check mqtt.url, the certificates, and that the broker runs"
        )
    return None
