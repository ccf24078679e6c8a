"""One admission for every door, over a journal on disk."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.availability import AWAY
from bridge.ble.radio import Absence
from bridge.errors import Refused, StorageUnavailable
from tests.support.house import BACK, FRONT, House, check, until


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, FRONT, BACK) as house:
        yield house


async def refusal(life, *args, **fields):
    with pytest.raises(Refused) as refused:
        await life.submit(*args, **fields)
    return refused.value.code


def attempts(life):
    return life.rows("SELECT count(*) FROM attempt")[0][0]


async def test_a_command_is_on_disk_when_it_is_taken_and_waits_for_its_start(house):
    async with house.life() as life:
        receipt = await life.submit(start=False)
        assert life.rows("SELECT action_id, state FROM attempt") == [(receipt.attempt.action_id, "accepted")]
        await anyio.sleep(20)
        assert not house.movements
        life.bridge.dispatcher.start(receipt)
        check(house, life, await life.ended(receipt))
    assert len(house.movements) == 1


async def test_a_repetition_is_the_same_attempt_with_its_status_now(house):
    async with house.life() as life:
        first = await life.submit(custom_id="req_1")
        again = await life.submit(custom_id="req_1")
        assert (again.attempt.action_id, again.replayed) == (first.attempt.action_id, True)
        await life.ended(first)
        late = await life.submit(custom_id="req_1")
        assert (late.attempt.action_id, late.attempt.state, late.replayed) == (
            first.attempt.action_id,
            "confirmed",
            True,
        )
    assert len(house.movements) == 1


async def test_two_copies_at_the_same_time_are_one_attempt(house):
    receipts = []
    house.disk_delay = 0.1
    async with house.life() as life:

        async def give():
            receipts.append(await life.submit(custom_id="req_1"))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(give)
        assert len({receipt.attempt.action_id for receipt in receipts}) == 1
        assert sorted(receipt.replayed for receipt in receipts) == [False, True, True, True, True]
        await life.ended(receipts[0])
        await anyio.sleep(5)
    assert len(house.movements) == 1


async def test_a_custom_id_means_the_same_only_for_the_same_lock_and_action(house):
    async with house.life() as life:
        for action, lock_id in (("unlock", FRONT), ("lock", FRONT), ("unlock", BACK)):
            assert not (await life.submit(action, lock_id, custom_id="req_1")).replayed
        assert attempts(life) == 3


@pytest.mark.parametrize(
    ("first", "second", "replayed"),
    [
        ({"request_key": "r"}, {"request_key": "r"}, True),
        ({"request_key": "r"}, {"request_key": "s"}, False),
        ({"packet_key": "p"}, {"packet_key": "p", "redelivered": True}, True),
        ({"packet_key": "p"}, {"packet_key": "p"}, False),
        ({"custom_id": "a", "request_key": "r"}, {"custom_id": "b", "request_key": "r"}, False),
    ],
)
@pytest.mark.parametrize("wait", [0, 130])
async def test_keys_stand_for_a_custom_id_for_a_short_time(house, first, second, replayed, wait):
    async with house.life() as life:
        await life.submit(**first)
        await anyio.sleep(wait)
        assert (await life.submit(**second)).replayed is (replayed and not wait)


async def test_a_refusal_is_counted_and_nothing_is_recorded_of_the_command(house):
    async with house.life() as life:
        assert await refusal(life, retained=True) == "RETAINED_COMMAND"
        assert await refusal(life, lock_id="cellar") == "LOCK_NOT_FOUND"
        assert await refusal(life, lock_id="cellar") == "LOCK_NOT_FOUND"
        assert await refusal(life, "dance") == "INVALID_ACTION"
        assert life.bridge.dispatcher._refusals.counts == {
            "RETAINED_COMMAND": 1,
            "LOCK_NOT_FOUND": 2,
            "INVALID_ACTION": 1,
        }
        assert not attempts(life)


async def test_a_refused_command_may_be_sent_again(house):
    async with house.life() as life:
        house.radio.silent = True
        assert await refusal(life, custom_id="req_1") == "DEVICE_OFFLINE"
        house.radio.silent = False
        assert not (await life.submit(custom_id="req_1")).replayed


@pytest.mark.parametrize("told_as_attempt", [False, True])
async def test_a_lock_that_a_command_is_refused_for_is_told_as_away_at_once_and_once(house, told_as_attempt):
    async with house.life() as life:
        front = str(life.bridge.identity.device_id(FRONT))

        def told():
            condition = [event for event in life.all_events if event["event_type"].startswith("device.")]
            return [event["event_type"] for event in condition if event["device_id"] == front]

        await until(lambda: life.device()["online"] and life.device(BACK)["online"])
        house.lock.offline()
        house.radio.silent = True
        for others_online in (True, False):
            if told_as_attempt:
                assert (await life.submit(told_as_attempt=True)).attempt.code == "DEVICE_OFFLINE"
            else:
                assert await refusal(life) == "DEVICE_OFFLINE"
            device = life.device()
            assert (device["online"], device["offline_reason"], device["lock_state"]) == (
                False,
                "out_of_range",
                "unknown",
            )
            assert life.device(BACK)["online"] is others_online
            await anyio.sleep(2 * AWAY)
        assert told() == ["device.disconnected"]
        house.lock.online()
        house.radio.silent = False
        await until(lambda: life.device()["online"])
        await anyio.sleep(2 * AWAY)
        assert told() == ["device.disconnected", "device.connected"]


async def test_a_refusal_does_not_say_of_a_lock_what_is_known_better(house):
    async with house.life() as life:
        life.states.lost(FRONT, Absence.CREDENTIALS_REFUSED)
        house.radio.silent = True
        assert await refusal(life) == "DEVICE_OFFLINE"
        assert life.device()["offline_reason"] == "credentials_refused"


async def test_what_is_hopeless_is_refused_at_once(house):
    async with house.life() as life:
        house.radio.usable = False
        assert await refusal(life) == "BRIDGE_OFFLINE"
        house.radio.usable = True
        life.bridge.dispatcher.stop()
        assert await refusal(life) == "BRIDGE_OFFLINE"


async def test_a_journal_that_cannot_be_written_takes_no_command(house):
    async with house.life() as life:
        with life.unwritable():
            assert await refusal(life) == "STORAGE_UNAVAILABLE"
            await anyio.sleep(60)
        assert not attempts(life)
        assert (await life.perform()).state == "confirmed"
    assert len(house.movements) == 1


async def test_too_many_of_one_kind_in_a_minute_are_refused(house):
    house.commands = {"rate_limit": 3}
    async with house.life() as life:
        for _ in range(3):
            await life.perform("unlock")
        assert await refusal(life, "unlock") == "RATE_LIMITED"
        await life.submit("lock")
        await life.submit("unlock", BACK)
        await anyio.sleep(60)
        await life.submit("unlock")


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_senders_own_deadline_counts_where_the_clock_is_right(house, trusted):
    house.clock.synchronised = trusted
    async with house.life() as life:
        if trusted:
            receipt = await life.submit(expires_at="2026-01-31T12:00:05Z", start=False)
            assert receipt.attempt.deadline == pytest.approx(5, abs=0.01)
            assert await refusal(life, expires_at="2026-01-31T11:59:59Z") == "COMMAND_EXPIRED"
        else:
            assert await refusal(life, expires_at="2026-01-31T12:00:05Z") == "CLOCK_NOT_TRUSTED"


async def test_a_sender_that_goes_away_while_its_command_is_recorded_loses_nothing(house):
    """It is either not recorded at all or has its receipt; a cancellation never falls in between."""
    async with house.life() as life:
        for tenths in range(8):
            known, receipts = attempts(life), []
            house.disk_delay = 0.1
            with anyio.move_on_after(tenths / 10 + 0.05):
                receipts.append(await life.submit(start=False, custom_id=f"req_{tenths}"))
            house.disk_delay = 0
            assert attempts(life) - known == len(receipts)
        assert 0 < attempts(life) < 8


async def test_a_hopeless_command_may_be_told_as_an_attempt_that_failed_and_never_moves(house):
    async with house.life() as life:
        house.radio.usable = False
        receipt = await life.submit(told_as_attempt=True)
        assert (receipt.attempt.state, receipt.attempt.code) == ("failed", "BRIDGE_OFFLINE")
        assert await life.ended(receipt) == receipt.attempt
        told = [
            event_type
            for (event_type,) in life.rows("SELECT event_type FROM event WHERE attempt_id IS NOT NULL ORDER BY seq")
        ]
        assert told == ["lock.action_completed", "action_attempt.unlock_door.failed"]
        house.radio.usable = True
        await anyio.sleep(60)
    assert not house.movements


async def test_where_its_failure_cannot_be_recorded_a_hopeless_attempt_is_tried(house, monkeypatch):
    async with house.life() as life:
        house.radio.usable = False

        async def fails(*_arguments):
            raise StorageUnavailable("full")

        with monkeypatch.context() as patched:
            patched.setattr(life.bridge.journal, "end", fails)
            receipt = await life.submit(told_as_attempt=True)
        assert receipt.attempt.state == "accepted"
        house.radio.usable = True
        assert (await life.ended(receipt)).state == "confirmed"
    assert len(house.movements) == 1
