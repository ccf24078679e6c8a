"""Signed commands, in a whole bridge under virtual time: a recorded one opens nothing, nowhere and at no other time."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import trio
import trio.testing

from bridge.errors import Code, Refused
from bridge.keys.signing_keys import SigningKeys
from bridge.policy import SKEW, Message
from drivers.base import Method
from tests.support import signed
from tests.support.house import BACK, FRONT, House

DAY = 86400.0
MAX_TTL = 60.0


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, FRONT, BACK, motor_time=1.0) as house:
        house.lock_fields = {"require_signature": True}
        yield house


@pytest.fixture
def made(house):
    return SigningKeys(house.path).make("panel", "ed25519")


def ahead(house, seconds):
    return (house.clock.wall() + timedelta(seconds=seconds)).isoformat()


def command(house, made, lock_id=FRONT, *, seconds=20.0, **fields):
    return signed.command(made, lock_id, expires_at=ahead(house, seconds), **fields)


async def give(life, body, lock_id=FRONT, method=Method.REMOTE_API, **fields):
    """Give a command, and return its receipt or the code of its refusal."""
    message = Message(lock_id, json.dumps(body).encode(), method, life.bridge.clock.boottime(), **fields)
    try:
        receipt = await life.bridge.dispatcher.submit(message)
    except Refused as refusal:
        return refusal.code
    life.bridge.dispatcher.start(receipt)
    return receipt


async def test_a_signed_command_is_carried_out_once_however_often_it_comes(house, made):
    async with house.life() as life:
        body = command(house, made)
        receipt = await give(life, body)
        await life.ended(receipt)
        again = await give(life, body)
        assert (again.replayed, again.attempt.action_id) == (True, receipt.attempt.action_id)
        assert len(house.movements) == 1


async def test_what_is_not_signed_is_refused_and_told(house, made):
    async with house.life() as life:
        receipt = await give(life, command(house, made))
        await life.ended(receipt)
        assert await give(life, {"action": "unlock"}) is Code.SIGNATURE_REQUIRED
        repeated = {"action": "unlock", "custom_id": signed.CUSTOM_ID}
        assert await give(life, repeated) is Code.SIGNATURE_REQUIRED  # and not what came of the signed one
        assert await give(life, {"action": "unlatch"}) is Code.SIGNATURE_REQUIRED
        assert life.bridge.refusals.counts[Code.SIGNATURE_REQUIRED] == 3
        (told,) = [each for each in life.rows("SELECT body FROM event") if "command_refused" in each[0]]
        assert json.loads(told[0])["error_code"] == "SIGNATURE_REQUIRED"
        assert len(house.movements) == 1


async def test_a_recorded_command_is_good_for_no_other_lock_bridge_or_action(house, made):
    async with house.life() as life:
        body = command(house, made)
        assert await give(life, body, BACK) is Code.SIGNATURE_INVALID
        assert await give(life, body | {"action": "unlatch"}) is Code.SIGNATURE_INVALID
        assert await give(life, body | {"custom_id": "another"}) is Code.SIGNATURE_INVALID
        assert await give(life, body | {"expires_at": ahead(house, 50)}) is Code.SIGNATURE_INVALID
        assert await give(life, command(house, made, bridge_id="g2")) is Code.SIGNATURE_INVALID
        assert house.movements == []
        assert life.rows("SELECT * FROM attempt") == []


async def test_a_refused_one_is_not_remembered_so_that_the_true_one_still_comes_through(house, made):
    async with house.life() as life:
        body = command(house, made)
        forged = body | {"signature": f"{made.kept.id}:{'A' * 86}=="}
        assert await give(life, forged) is Code.SIGNATURE_INVALID
        receipt = await give(life, body)
        await life.ended(receipt)
        assert (receipt.replayed, len(house.movements)) == (False, 1)


async def test_held_back_beyond_its_time_it_moves_nothing(house, made):
    async with house.life() as life:
        body = command(house, made)
        await trio.sleep(20.0)
        assert await give(life, body) is Code.COMMAND_EXPIRED
        assert house.movements == []


def pass_days(house, monkeypatch, days):
    """Let days pass in which nothing runs, as in a suspended machine."""
    boottime, wall = house.clock.boottime, house.clock.wall
    monkeypatch.setattr(house.clock, "boottime", lambda: boottime() + days * DAY)
    monkeypatch.setattr(house.clock, "wall", lambda: wall() + timedelta(days=days))


async def test_by_the_time_the_journal_has_forgotten_it_it_has_long_expired(house, made, monkeypatch):
    async with house.life() as life:
        body = command(house, made)
        await life.ended(await give(life, body))
        pass_days(house, monkeypatch, 31)
        await life.bridge.journal.prune()
        assert await give(life, body) is Code.COMMAND_EXPIRED
        assert len(house.movements) == 1


@pytest.mark.parametrize("days", [2, 29])
async def test_a_clock_that_is_set_back_makes_no_recorded_command_new(house, made, monkeypatch, days):
    """Whoever rules the broker may rule the network's time, too."""
    async with house.life() as life:
        body = command(house, made)
        receipt = await give(life, body)
        await life.ended(receipt)
        then = house.clock.wall()
        pass_days(house, monkeypatch, days)
        await life.bridge.journal.prune()
        monkeypatch.setattr(house.clock, "wall", lambda: then)
        again = await give(life, body)
        assert (again.replayed, again.attempt.action_id) == (True, receipt.attempt.action_id)
        assert len(house.movements) == 1


async def test_an_unsigned_custom_id_is_free_again_after_a_day_as_ever(house, made, monkeypatch):
    house.lock_fields = {}
    async with house.life() as life:
        body = {"action": "unlatch", "custom_id": "a"}
        await life.ended(await give(life, body))
        pass_days(house, monkeypatch, 1.01)
        assert (await give(life, body)).replayed is False


@pytest.mark.parametrize(
    ("seconds", "taken"), [(MAX_TTL, True), (MAX_TTL + SKEW, True), (MAX_TTL + SKEW + 1, False), (DAY, False)]
)
async def test_nothing_is_signed_for_longer_than_a_command_lives(house, made, seconds, taken):
    async with house.life() as life:
        found = await give(life, command(house, made, seconds=seconds))
        assert (found is Code.SIGNATURE_INVALID) is not taken
        if taken:
            assert found.attempt.deadline <= life.bridge.clock.boottime() + 30.0  # it lives no longer for that


@pytest.mark.parametrize("action", ["lock", "unlock"])
async def test_without_the_time_nobody_can_tell_it_from_a_recorded_one(house, made, action):
    house.clock.synchronised = False
    async with house.life() as life:
        assert await give(life, command(house, made, action=action)) is Code.CLOCK_NOT_TRUSTED


async def test_at_the_gateway_itself_nothing_need_be_signed_but_what_is_must_be_right(house, made):
    async with house.life() as life:
        here = {"method": Method.BLUETOOTH_KEY}
        await life.ended(await give(life, {"action": "unlock"}, **here))
        assert await give(life, command(house, made, bridge_id="g2"), **here) is Code.SIGNATURE_INVALID
        assert len(house.movements) == 1


async def test_where_none_is_required_a_wrong_one_is_refused_all_the_same(house, made):
    house.lock_fields = {}
    async with house.life() as life:
        await life.ended(await give(life, {"action": "unlock"}))
        assert await give(life, command(house, made, bridge_id="g2")) is Code.SIGNATURE_INVALID
        await life.ended(await give(life, command(house, made, action="lock")))


@pytest.mark.parametrize(("everywhere", "here", "required"), [(True, None, True), (True, False, False)])
async def test_what_is_required_everywhere_a_lock_may_say_otherwise(house, made, everywhere, here, required):
    house.commands = {"require_signature": everywhere}
    house.lock_fields = {"require_signature": here}
    async with house.life() as life:
        found = await give(life, {"action": "unlock"})
        assert (found is Code.SIGNATURE_REQUIRED) is required


async def test_keys_are_made_and_revoked_while_the_bridge_runs(house, made):
    async with house.life() as life:
        keys = SigningKeys(house.path)
        more = keys.make("phone", "hmac-sha256", [FRONT])
        await life.ended(await give(life, command(house, more, custom_id="1")))
        keys.revoke(more.kept.id)
        assert await give(life, command(house, more, custom_id="2", action="lock")) is Code.SIGNATURE_INVALID
        await life.ended(await give(life, command(house, made, custom_id="3", action="lock")))
        assert len(house.movements) == 2


async def test_a_key_is_for_its_locks_alone(house):
    more = SigningKeys(house.path).make("phone", "ed25519", [BACK])
    async with house.life() as life:
        assert await give(life, command(house, more)) is Code.SIGNATURE_INVALID
        await life.ended(await give(life, command(house, more, BACK), BACK))


async def test_when_it_locks_itself_is_set_at_the_gateway_alone(house):
    ask = {"device_id": FRONT, "auto_lock_enabled": False}
    async with house.life() as life:
        tasks = life.bridge.tasks
        refused = await tasks.answer("locks/configure_auto_lock", ask, Method.REMOTE_API)
        assert (refused.status, refused.body["error"]["type"]) == (403, "signature_required")
        assert (await tasks.answer("locks/configure_auto_lock", ask, Method.BLUETOOTH_KEY)).status == 200
