"""A whole bridge in this process, over a real broker: the composition root, which here comes back without a pause."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import patch

from bridge import app
from bridge.config import load
from bridge.lifecycle import Bridge
from bridge.mqtt.session import Session
from bridge.mqtt.settings import mqtt_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from bridge.config import Config
    from bridge.mqtt.broker import Settings, Will


@asynccontextmanager
async def bridge(directory: Path, config: str, *, keepalive: int = 15) -> AsyncGenerator[Bridge]:
    """Run a bridge for the length of the context.

    Args:
        directory: where its configuration and its state folder are.
        config: its configuration.
        keepalive: seconds after which it asks whether the broker is still there.
    """
    file = directory / "config.toml"
    file.write_text(config)
    (directory / "state").mkdir(mode=0o700, exist_ok=True)

    def settings(config: Config, will: Will) -> Settings:
        return replace(mqtt_settings(config, will), keepalive=keepalive)

    with (
        patch.object(app, "Session", partial(Session, jitter=lambda low, high: min(high, low + 0.02))),
        patch.object(app, "mqtt_settings", settings),
    ):
        async with app.running(load(file, {})) as running:
            yield running
