"""The real daemon under a service manager with a watchdog: when it feeds it, and what it says of itself."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.support.daemon import BINARY, FOOD, Daemon, configuration
from tests.support.lockhost import hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream
from tests.support.stalling_disk import stalling_disk

pytestmark = pytest.mark.timeout(180)  # each starts the daemon twice or thrice

LOCK = "front_door"
LIMIT = 1.5
"""Seconds of the watchdog."""
WATCHDOG = {"WATCHDOG_USEC": str(int(LIMIT * 1e6))}
WELL = "STATUS=1 lock; broker connected; radio: virtual"
LOOP_BLOCKED_BY_A_SIGNAL = """
import signal, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(1000))
from bridge.cli import main
main()
"""
LESS_PATIENT = """
import bridge.app
bridge.app.JOURNAL_TIME = 1.0
from bridge.cli import main
main()
"""


@pytest.fixture
def anyio_backend():
    return "trio"


@pytest.fixture
async def broker(tmp_path):
    async with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
async def upstream(broker):
    async with Upstream(broker.port) as connected:
        yield connected


def bridge(tmp_path, broker, upstream, *program):
    """Return a daemon with a virtual lock of its own."""
    return Daemon(tmp_path, configuration(broker.port, LOCK), upstream, program or (BINARY,))


async def begun(daemon, **more):
    """Start it anew, under a watchdog."""
    await daemon.stop()
    await daemon.serve(**WATCHDOG, **more)
    await daemon.told(FOOD)


async def test_the_watchdog_is_fed_for_as_long_as_all_goes_well(tmp_path, broker, upstream):
    async with bridge(tmp_path, broker, upstream) as daemon:
        await begun(daemon)
        await daemon.told(FOOD, times=8)
        assert "stuck" not in daemon.log


async def test_the_watchdog_is_fed_at_work_too(tmp_path, broker, upstream):
    async with bridge(tmp_path, broker, upstream) as daemon:
        await begun(daemon)
        for action in ("unlock", "lock", "unlock"):
            await upstream.command(LOCK, {"action": action})
        await daemon.told(FOOD, times=8)
        assert "stuck" not in daemon.log


async def test_the_watchdog_of_another_process_is_not_fed(tmp_path, broker, upstream):
    async with bridge(tmp_path, broker, upstream) as daemon:
        await daemon.stop()
        await daemon.serve(**WATCHDOG, WATCHDOG_PID=str(os.getpid()))
        await daemon.told(WELL)
        await daemon.starved(LIMIT)
        assert FOOD not in daemon.notes


async def test_a_bridge_whose_loop_is_blocked_starves_the_watchdog_and_tells_where_it_was(tmp_path, broker, upstream):
    async with bridge(tmp_path, broker, upstream, sys.executable, "-c", LOOP_BLOCKED_BY_A_SIGNAL) as daemon:
        await begun(daemon)
        daemon.signal(signal.SIGUSR1)
        await daemon.starved(LIMIT)
        daemon.signal(signal.SIGABRT)
        assert await daemon.ended() == -signal.SIGABRT
        assert "Fatal Python error: Aborted" in daemon.log
        assert 'File "<string>", line 3 in <lambda>' in daemon.log


async def test_a_bridge_that_is_stopped_starves_the_watchdog(tmp_path, broker, upstream):
    async with bridge(tmp_path, broker, upstream) as daemon:
        await begun(daemon)
        daemon.signal(signal.SIGSTOP)
        await daemon.starved(LIMIT)
        daemon.signal(signal.SIGCONT)
        await daemon.told(FOOD, times=daemon.notes.count(FOOD) + 2)


async def test_a_disk_that_stalls_starves_the_watchdog_and_what_was_under_way_ends_truthfully(
    tmp_path, broker, upstream
):
    with stalling_disk(tmp_path / "state") as disk:
        async with (
            hosting(tmp_path, LOCK, motor_time=2.0) as host,
            Daemon(
                tmp_path,
                configuration(broker.port, LOCK, air=host.air),
                upstream,
                (sys.executable, "-c", LESS_PATIENT),
            ) as daemon,
        ):
            await begun(daemon)
            await daemon.told(WELL)
            await upstream.command(LOCK, {"action": "unlock", "custom_id": "c1"}, MessageExpiryInterval=60)
            action_id = (await upstream.reply(LOCK, custom_id="c1")).body["action_id"]
            await upstream.until(lambda: host.movements)  # past the commit point
            with disk.stalled():
                await daemon.told("STATUS=stuck: the journal; 1 lock; broker connected; radio: virtual")
                await daemon.starved(LIMIT)
                daemon.signal(signal.SIGABRT)
            assert await daemon.ended() == -signal.SIGABRT
            assert 'stuck: unless it goes on, the service manager will restart the bridge" work="the journal"' in (
                daemon.log
            )
            await daemon.serve(**WATCHDOG)
            assert (await upstream.completed(action_id))["changed"] is True
            assert len(host.movements) == 1
            await daemon.told(FOOD, times=2)


async def test_a_disk_that_goes_on_after_all_has_the_watchdog_fed_again(tmp_path, broker, upstream):
    with stalling_disk(tmp_path / "state") as disk:
        async with bridge(tmp_path, broker, upstream, sys.executable, "-c", LESS_PATIENT) as daemon:
            await begun(daemon)
            with disk.stalled():
                await upstream.command(LOCK, {"action": "unlock", "custom_id": "c1"}, MessageExpiryInterval=60)
                await daemon.starved(LIMIT)
            await daemon.told(FOOD, times=daemon.notes.count(FOOD) + 2)
            action_id = (await upstream.reply(LOCK, custom_id="c1")).body["action_id"]
            assert (await upstream.completed(action_id))["status"] == "success"
            assert "what was stuck goes on" in daemon.log


async def test_the_status_line_says_how_it_is_and_changes_with_it(tmp_path, upstream, broker):
    async with bridge(tmp_path, broker, upstream) as daemon:
        await daemon.told(WELL)
        broker.kill()
        await daemon.told("STATUS=1 lock; no broker; radio: virtual")
        assert (
            sum(note.startswith("STATUS=") for note in daemon.notes) <= 3
        )  # and at first perhaps of a lock not yet read
        daemon.terminate()
        await daemon.told("STATUS=stopping")
        assert daemon.notes.count("STOPPING=1") == 1
