"""A door with one lock on the virtual air, that no configuration knows yet, and a gateway beside it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from bridge.ble.airsocket import AirServer
from bridge.keys.credentials import Credentials
from tests.cli.conftest import daemon
from tests.support.daemon import command_line

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator
    from pathlib import Path

    from drivers.virtual.peripheral import Twin

CONFIG = """\
# ours
[bridge]
id = "g1"
state_dir = "state"
[mqtt]
url = "mqtt://127.0.0.1:1"
[bluetooth]
radio = "virtual"
virtual_air = "air.sock"
"""


class Door:
    """The lock, and the gateway's configuration and keys."""

    def __init__(self, folder: Path, twin: Twin) -> None:
        self.twin = twin
        self.folder = folder
        self.file = folder / "config.toml"
        self.file.write_text(CONFIG)
        self.variables = {"LOCK_BRIDGE_CONFIG": str(self.file), "RUNTIME_DIRECTORY": str(folder)}

    @property
    def keys(self) -> Credentials:
        return Credentials(self.folder / "state")

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return await command_line(*arguments, **self.variables)

    @asynccontextmanager
    async def on_the_air(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            await group.start(AirServer({self.twin.address: self.twin}, str(self.folder / "air.sock")).run)
            yield
            group.cancel_scope.cancel()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Run a bridge; what it starts with is in the file by then."""
        bridge = daemon(self.file)
        await anyio.to_thread.run_sync(bridge.__enter__)
        try:
            yield
        finally:
            bridge.__exit__(None, None, None)
