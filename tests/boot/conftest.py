"""One machine under a real systemd for all tests, with the bridge as its service, before a virtual lock outside."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from tests.support.gateway import ROOT, gateway
from tests.support.wheels import download

HERE = Path(__file__).parent
KERNEL = ROOT / "tests/bluez/lab/kernel"


def pytest_collection_modifyitems(config, items):
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    reason = _missing() if ours else None
    for item in ours:
        item.add_marker(pytest.mark.timeout(600))
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def _missing() -> str | None:
    if os.geteuid() != 0:
        return "a machine can be booted by root only"
    cache = Path(
        os.environ.get("BLUEZ_LAB_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "bluez-lab"
    )
    if not list(cache.expanduser().glob("linux-*")):
        return f"there is no kernel to boot; build it: {KERNEL}"
    return None


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
async def installed(anyio_backend, tmp_path_factory, pytestconfig):
    """The machine, with the bridge installed and everything running."""
    wheels = pytestconfig.cache.mkdir("wheels")
    async with gateway(tmp_path_factory.mktemp("machine"), wheels) as it:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, partial(download, wheels))
            tasks.start_soon(it.boot)
        await it.install()
        await it.furnish()
        await it.start()
        yield it


@pytest.fixture
async def door(installed):
    """The machine, with everything running, before a locked door; what it logged is shown where a test fails."""
    if not installed.machine.alive:
        await installed.boot()
    await installed.start()
    await installed.at_rest()
    yield installed
    installed.heal()
    if installed.machine.alive:
        print(await installed.machine.run("journalctl --no-pager --boot --lines 200"))  # noqa: T201 - shown where the test fails
