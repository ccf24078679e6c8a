"""Whether rfkill blocks an adapter, as sysfs tells it to every user."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread

ADAPTERS = Path("/sys/class/bluetooth")


async def blocks(name: str, adapters: Path = ADAPTERS) -> tuple[bool, bool]:
    """Return whether the adapter `name` (hci0) is blocked by software, and by a hardware switch."""
    return await anyio.to_thread.run_sync(_read, adapters / name)


def _read(adapter: Path) -> tuple[bool, bool]:
    switches = list(adapter.glob("rfkill*"))
    return any(_is_set(each / "soft") for each in switches), any(_is_set(each / "hard") for each in switches)


def _is_set(file: Path) -> bool:
    try:
        return file.read_text().strip() == "1"
    except OSError:  # the adapter was unplugged meanwhile
        return False
