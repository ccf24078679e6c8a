"""A lock that is slow, stuck or gone holds up its own commands and nobody else's."""

from __future__ import annotations

import random

import pytest

from drivers.virtual.faults import Trouble
from tests.support.burst import Burst
from tests.support.daemon import Daemon, configuration
from tests.support.lockhost import hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream

STUCK = "stuck"
OTHERS = tuple(f"lock_{number}" for number in range(9))
ROUNDS = 10
QUEUE_LIMIT = 4
MORE = 3
"""Commands for the stuck lock beyond what may wait."""
LIMITS = f"rate_limit = 0\nqueue_limit = {QUEUE_LIMIT}"


def is_slow(lock):
    lock.motor_time = 20.0


def reports_no_end(lock):
    lock.motor_time = 20.0
    lock.faults.arm(Trouble.MUTE_AFTER_ACCEPTED)


def does_not_begin(lock):
    lock.faults.arm(Trouble.STALL)


def is_silent(lock):
    lock.faults.arm(Trouble.LOSE_INDICATION, times=None)


def refuses_connections(lock):
    lock.held_by_phone = True


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.parametrize("trouble", [is_slow, reports_no_end, does_not_begin, is_silent, refuses_connections])
async def test_while_one_lock_is_stuck_the_others_go_on_and_its_queue_is_bounded(tmp_path, trouble):
    async with (
        Mosquitto(tmp_path) as broker,
        hosting(tmp_path, STUCK, *OTHERS) as host,
        Upstream(broker.port) as upstream,
    ):
        dice = random.Random(1)
        trouble(host.locks[STUCK])
        config = configuration(broker.port, STUCK, *OTHERS, air=host.air, commands=LIMITS)
        async with Daemon(tmp_path, config, upstream):
            await upstream.command(STUCK, {"action": "unlock", "custom_id": "first"})
            await upstream.reply(STUCK, custom_id="first", status="pending")
            for _ in range(QUEUE_LIMIT + MORE):
                await upstream.command(STUCK, {"action": "lock"})
            await upstream.reply(STUCK, 1 + QUEUE_LIMIT + MORE)
            for _ in range(ROUNDS):
                others = Burst(upstream, host)
                await others.send(OTHERS, dice)
                await others.settled()
                assert others.judge((), QUEUE_LIMIT)[1] == []
        codes = [reply.body.get("error_code") for reply in upstream.on(f"locks/{STUCK}/actions/reply")]
        assert codes == [None] * (1 + QUEUE_LIMIT) + ["DEVICE_BUSY"] * MORE
        assert upstream.on(f"events/lock.action_completed/{STUCK}") == []
