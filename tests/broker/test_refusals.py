"""Each refusal that can be provoked from outside: what is answered, in which order, and that nothing moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from bridge.clock import SystemClock
from tests.support.daemon import Daemon, configuration
from tests.support.lockhost import LockHost, hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import BASE, Upstream

LOCK = "front_door"
REPLY = "lockbridge/answers/me"
ADDRESS = {"ResponseTopic": REPLY, "CorrelationData": b"me"}


@pytest.fixture
def anyio_backend():
    return "trio"


@pytest.fixture
async def upstream(broker: Mosquitto):
    async with Upstream(broker.port) as connected:
        yield connected


@pytest.fixture
async def host(tmp_path):
    async with hosting(tmp_path, LOCK) as hosted:
        yield hosted


@pytest.fixture
def bridge(broker: Mosquitto, tmp_path, upstream: Upstream, host: LockHost):
    """Makes a daemon for the hosted lock, with further tables of configuration."""

    def make(**tables: str) -> Daemon:
        return Daemon(tmp_path, configuration(broker.port, LOCK, air=host.air, **tables), upstream)

    return make


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def refused(upstream: Upstream, body: object, lock_id: str = LOCK, **properties) -> dict:
    """Send a command and return its refusal, without the words for people."""
    before = len(upstream.on(f"locks/{lock_id}/actions/reply"))
    await upstream.command(lock_id, body, **properties)
    reply = dict((await upstream.reply(lock_id, before + 1)).body)
    assert reply.pop("message")
    return reply


def refusal(code: str, action: str = "unlock", lock_id: str = LOCK, **more: str) -> dict:
    return {"error_code": code, "lock_id": lock_id, "action": action, **more}


async def test_what_is_wrong_with_a_command_is_named_on_the_default_reply_topic(bridge, upstream: Upstream, host):
    async with bridge(bridge='trust_clock = "always"'):
        unlock = {"action": "unlock", "custom_id": "c"}
        told = {"custom_id": "c"}

        assert await refused(upstream, unlock, retain=True) == refusal("RETAINED_COMMAND", **told)
        await upstream.command(LOCK, b"", retain=True)
        assert await refused(upstream, unlock | {"force": True}) == refusal("INVALID_REQUEST", **told)
        toggle = {"action": "toggle", "custom_id": "c"}
        assert await refused(upstream, toggle) == refusal("INVALID_ACTION", "toggle", **told)
        elsewhere = refusal("LOCK_NOT_FOUND", lock_id="cellar", **told)
        assert await refused(upstream, unlock, "cellar") == elsewhere
        unlatch = {"action": "unlatch", "custom_id": "c"}
        assert await refused(upstream, unlatch) == refusal("ACTION_NOT_ALLOWED", "unlatch", **told)
        late = unlock | {"expires_at": at(-1)}
        assert await refused(upstream, late) == refusal("COMMAND_EXPIRED", **told)

        # Refusals are not remembered: the same custom_id is taken now.
        await upstream.command(LOCK, unlock)
        reply = await upstream.reply(LOCK, status="pending")
        assert "replayed" not in reply.body
        await upstream.completed(reply.body["action_id"])
        assert len(host.movements) == 1
        told = {each.body["error_code"] for each in upstream.on("events/bridge.command_refused")}
        assert told == {
            *("RETAINED_COMMAND", "INVALID_REQUEST", "INVALID_ACTION"),
            *("LOCK_NOT_FOUND", "ACTION_NOT_ALLOWED", "COMMAND_EXPIRED"),
        }


async def test_the_first_rule_that_is_broken_is_the_answer(bridge, upstream: Upstream, host):
    async with bridge(bridge='trust_clock = "always"'):
        everything = {"action": "unlatch", "expires_at": at(-1), "force": True}
        assert (await refused(upstream, everything, "cellar", retain=True))["error_code"] == "RETAINED_COMMAND"
        await upstream.command("cellar", b"", retain=True)
        assert (await refused(upstream, everything, "cellar"))["error_code"] == "INVALID_REQUEST"
        del everything["force"]
        assert (await refused(upstream, everything, "cellar"))["error_code"] == "LOCK_NOT_FOUND"
        assert (await refused(upstream, everything))["error_code"] == "ACTION_NOT_ALLOWED"
        assert (await refused(upstream, everything | {"action": "lock"}))["error_code"] == "COMMAND_EXPIRED"
        assert host.movements == []


async def test_p4_a_refusal_goes_to_the_response_topic_with_exactly_two_keys(bridge, upstream: Upstream, host):
    async with bridge():
        for number, (lock_id, body, code) in enumerate(
            [
                (LOCK, {"action": "unlock"}, "RETAINED_COMMAND"),
                (LOCK, b"\xff\xfe", "INVALID_REQUEST"),
                (LOCK, {"action": "toggle"}, "INVALID_ACTION"),
                ("cellar", {"action": "lock"}, "LOCK_NOT_FOUND"),
                (LOCK, {"action": "unlatch"}, "ACTION_NOT_ALLOWED"),
            ]
        ):
            await upstream.command(lock_id, body, retain=code == "RETAINED_COMMAND", **ADDRESS)
            reply = await upstream.until(
                lambda number=number: [each for each in upstream.heard if each.topic == REPLY][number:]
            )
            assert set(reply[0].body) == {"error_code", "message"}
            assert reply[0].body["error_code"] == code
            assert reply[0].correlation == b"me"
        assert upstream.on("locks/+/actions/reply") == []


@pytest.mark.parametrize(
    "topic",
    [
        "elsewhere/answers",
        "lockbridge",
        f"{BASE}/locks/{LOCK}/actions",
        f"{BASE}/locks/{LOCK}/state",
        f"{BASE}/status",
        f"{BASE}/events/lock.action_completed/{LOCK}",
        f"{BASE}/rpc/locks/list",
    ],
)
async def test_a_response_topic_that_may_not_be_used_is_not_used(bridge, upstream: Upstream, host, topic):
    async with bridge():
        await upstream.until(lambda: upstream.having(f"locks/{LOCK}/state", online=True))
        before = len([each for each in upstream.heard if each.topic == topic])
        answer = await refused(upstream, {"action": "unlock", "custom_id": "c"}, ResponseTopic=topic)
        assert answer == refusal("INVALID_REQUEST", custom_id="c")
        await upstream.first("events/bridge.command_refused", error_code="INVALID_REQUEST")
        after = len([each for each in upstream.heard if each.topic == topic])
        assert after - before == (topic == f"{BASE}/locks/{LOCK}/actions")  # our own command
        assert host.movements == []


async def test_p4_a_stored_retained_command_is_never_carried_out(
    broker: Mosquitto, bridge, upstream: Upstream, host, tmp_path
):
    await upstream.command(LOCK, {"action": "unlock"}, retain=True)
    async with bridge() as daemon:
        await upstream.command(LOCK, {"action": "lock", "custom_id": "fence"})
        await upstream.completed((await upstream.reply(LOCK, custom_id="fence")).body["action_id"])
        daemon.kill()
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "away"}, retain=True)
        await daemon.serve()
        assert (await upstream.reply(LOCK, custom_id="away")).body["error_code"] == "RETAINED_COMMAND"
        assert host.movements == []


async def test_expires_at_counts_only_where_the_clock_is_known_to_be_right(bridge, upstream: Upstream, host):
    """What is right depends on this machine; the unit tests of the policy prove both on any."""
    trusted = SystemClock("auto").trusted()
    async with bridge():
        doomed = {"action": "unlock", "expires_at": at(-3600 if trusted else 30)}
        assert await refused(upstream, doomed) == refusal("COMMAND_EXPIRED" if trusted else "CLOCK_NOT_TRUSTED")
        await upstream.command(LOCK, {"action": "lock", "expires_at": at(30 if trusted else -3600)})
        reply = await upstream.reply(LOCK, status="pending")
        assert (await upstream.completed(reply.body["action_id"]))["status"] == "success"
        assert host.movements == []


async def test_an_expiry_can_be_required(bridge, upstream: Upstream, host):
    async with bridge(commands="require_expiry = true"):
        assert await refused(upstream, {"action": "unlock"}) == refusal("EXPIRY_REQUIRED")
        await upstream.command(LOCK, {"action": "unlock"}, MessageExpiryInterval=20)
        reply = await upstream.reply(LOCK, status="pending")
        assert (await upstream.completed(reply.body["action_id"]))["status"] == "success"


async def test_more_than_fifteen_a_minute_are_refused_for_that_action_alone(bridge, upstream: Upstream, host):
    async with bridge():
        for number in range(15):
            await upstream.command(LOCK, {"action": "unlock", "custom_id": str(number)})
            reply = await upstream.reply(LOCK, custom_id=str(number))
            await upstream.completed(reply.body["action_id"])
        assert await refused(upstream, {"action": "unlock"}) == refusal("RATE_LIMITED")
        again = {"action": "unlock", "custom_id": "3"}
        await upstream.command(LOCK, again)
        assert (await upstream.reply(LOCK, 2, custom_id="3")).body["replayed"] is True
        await upstream.command(LOCK, {"action": "lock", "custom_id": "other"})
        assert (await upstream.reply(LOCK, custom_id="other")).body["status"] == "pending"


async def test_more_than_four_that_wait_for_a_lock_are_refused(bridge, upstream: Upstream, host):
    host.locks[LOCK].motor_time = 1.0
    async with bridge():
        await upstream.command(LOCK, {"action": "unlock"})
        await upstream.first(f"locks/{LOCK}/state", lock_state="unlocking")
        for number in range(4):
            await upstream.command(LOCK, {"action": "unlock", "custom_id": str(number)})
            assert (await upstream.reply(LOCK, custom_id=str(number))).body["status"] == "pending"
        assert await refused(upstream, {"action": "unlock"}) == refusal("DEVICE_BUSY")
        await upstream.first("events/lock.action_completed/+", custom_id="3")
        assert len(host.movements) == 1


async def test_p3_a_lock_that_fell_silent_is_offline_and_what_waited_for_it_is_not_done_late(
    bridge, upstream: Upstream, host
):
    async with bridge():
        await upstream.first(f"locks/{LOCK}/state", online=True)
        host.locks[LOCK].offline()
        await upstream.command(LOCK, {"action": "unlock"}, MessageExpiryInterval=2)
        event = await upstream.completed((await upstream.reply(LOCK)).body["action_id"])
        assert (event["status"], event["error_code"]) == ("failed", "DEVICE_OFFLINE")
        state = await upstream.first(f"locks/{LOCK}/state", online=False, offline_reason="out_of_range")
        assert state.body["lock_state"] == "unknown"

        refused = await insist(upstream, until="error_code")  # as soon as the radio has listened long enough
        assert refused["error_code"] == "DEVICE_OFFLINE"
        host.locks[LOCK].online()
        reply = await insist(upstream, until="action_id")
        assert (await upstream.completed(reply["action_id"]))["changed"] is False
        assert host.movements == []


async def insist(upstream: Upstream, *, until: str) -> dict:
    """Send commands, each after the end of the one before, until the reply has a key; return that reply."""
    while True:
        before = len(upstream.on(f"locks/{LOCK}/actions/reply"))
        await upstream.command(LOCK, {"action": "lock"}, MessageExpiryInterval=1)
        reply = (await upstream.reply(LOCK, before + 1)).body
        if until in reply:
            return dict(reply)
        if "action_id" in reply:
            await upstream.completed(reply["action_id"])
        await anyio.sleep(0.1)
