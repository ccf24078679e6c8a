"""The way of an attempt, with the real driver and a virtual lock, under virtual time."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge import worker
from bridge.errors import Refused
from bridge.readback import BUDGET
from drivers.base import Action
from drivers.once import Once
from drivers.virtual.faults import Trouble
from tests.support.house import FRONT, TTL, House, check, until


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


def on_each_write(house, see):
    """Call `see` before each value that the bridge writes to a lock."""

    def write(_characteristic, data):
        see()
        return (data,)

    for link in house.radio.links:
        link.on_write = write
    house.radio.on_link = lambda link: setattr(link, "on_write", write)


class TestTheWay:
    async def test_each_step_is_on_disk_before_what_depends_on_it(self, house):
        seen = []
        async with house.life() as life:
            on_each_write(house, lambda: seen.append((*life.rows("SELECT state FROM attempt"), len(life.events))))
            receipt = await life.submit(start=False)
            assert life.rows("SELECT state FROM attempt") == [("accepted",)]
            life.bridge.dispatcher.start(receipt)
            attempt = await life.ended(receipt)
            check(house, life, attempt)
        during = [each for each in seen if len(each) > 1]
        accepted, committed = (("accepted",), 0), (("committed",), 0)
        assert during == [accepted] * (len(during) - 1) + [committed]
        assert (attempt.state, attempt.changed, attempt.code) == ("confirmed", True, None)
        assert [movement.action for movement in house.movements] == [Action.UNLOCK]

    @pytest.mark.parametrize(("action", "locked"), [("lock", True), ("unlock", False)])
    async def test_a_lock_that_is_there_already_is_left_alone(self, tmp_path, action, locked):
        async with House.standing(tmp_path, locked=locked) as house, house.life() as life:
            attempt = await life.perform(action)
            check(house, life, attempt)
            assert (attempt.state, attempt.changed) == ("confirmed", False)
            assert len(life.events) == 2
            assert "last_operation" not in life.device()
        assert not house.movements

    @pytest.mark.parametrize("locked", [True, False])
    async def test_an_unlatch_always_acts(self, tmp_path, locked):
        async with House.standing(tmp_path, locked=locked) as house, house.life() as life:
            attempt = await life.perform("unlatch")
            check(house, life, attempt)
            assert (attempt.state, attempt.changed) == ("confirmed", True)
            assert life.told(attempt)[1]["action_type"] == "UNLOCK_DOOR"
        assert [movement.action for movement in house.movements] == [Action.UNLATCH]

    @pytest.mark.parametrize(("first", "then", "changed"), [("unlock", "unlock", False), ("unlock", "lock", True)])
    async def test_a_moving_lock_is_waited_for_and_read_again(self, house, first, then, changed):
        house.lock.motor_time = 5
        async with house.life() as life:
            house.lock.fob()
            await until(lambda: house.lock.state.moving)
            attempt = await life.perform(then)
            check(house, life, attempt)
            assert (attempt.state, attempt.changed) == ("confirmed", changed)
        assert len(house.movements) == 1 + changed
        assert all(later.at >= 5 for later in house.movements[1:])

    async def test_a_lock_that_moves_until_the_deadline_is_not_acted_upon(self, house):
        house.lock.motor_time = 60
        async with house.life() as life:
            house.lock.fob()
            attempt = await life.perform("lock")
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "ACTION_TIMEOUT")
            assert anyio.current_time() == pytest.approx(TTL, abs=worker.RETRY_PAUSE + 0.1)
        assert len(house.movements) == 1

    async def test_the_way_is_told_as_it_goes_and_its_end_only_once_it_is_recorded(self, house):
        async with house.life() as life:
            receipt = await life.submit()
            await until(lambda: life.device()["lock_state"] == "unlocking")
            assert not life.events
            await until(lambda: life.device()["lock_state"] == "unlocked")
            assert (await life.attempt(receipt)).state == "confirmed"
            assert life.device()["last_operation"] == {
                "action": "unlock",
                "performed_via": "remote_api",
                "at": "2026-01-31T12:00:01Z",
            }


OUTCOMES = {
    Trouble.BUSY: ("failed", "FIRMWARE_REJECTED", 0),
    Trouble.JAM: ("failed", "LOCK_JAMMED", 1),
    Trouble.JAM_FREES_ITSELF: ("confirmed", None, 1),
    Trouble.OBSTRUCTION: ("failed", "BOLT_OBSTRUCTED", 1),
    Trouble.LOW_VOLTAGE: ("failed", "LOW_BATTERY", 1),
    Trouble.CLUTCH: ("failed", "MECHANISM_ERROR", 1),
    Trouble.MOTOR_POWER: ("failed", "MECHANISM_ERROR", 0),
    Trouble.CANCELLED: ("failed", "FIRMWARE_REJECTED", 1),
    Trouble.INCOMPLETE: ("failed", "BOLT_NOT_FULLY_EXTENDED", 1),
    Trouble.KNOB: ("failed", "FIRMWARE_REJECTED", 1),
    Trouble.FALSE_SUCCESS: ("unknown", "OUTCOME_UNKNOWN", 0),
    Trouble.STALL: ("unknown", "OUTCOME_UNKNOWN", 0),
    Trouble.DROP_BEFORE_WRITE: ("unknown", "OUTCOME_UNKNOWN", 0),
    Trouble.DROP_AFTER_WRITE: ("confirmed", None, 1),
    Trouble.DROP_AFTER_ACCEPTED: ("confirmed", None, 1),
    Trouble.MUTE_AFTER_ACCEPTED: ("confirmed", None, 1),
    Trouble.REFUSE_CONNECTION: ("confirmed", None, 1),
    Trouble.LOSE_INDICATION: ("confirmed", None, 1),
    Trouble.DUPLICATE_INDICATION: ("confirmed", None, 1),
    Trouble.DELAY_INDICATION: ("confirmed", None, 1),
    Trouble.REORDER_INDICATION: ("confirmed", None, 1),
    Trouble.NONCE_REFUSED: ("unknown", "OUTCOME_UNKNOWN", 0),
    Trouble.TIME_REFUSED: ("failed", "NOT_AUTHORIZED", 0),
    Trouble.PIN_LOCKED_OUT: ("confirmed", None, 1),
}


class TestTroubles:
    def test_every_trouble_is_tried(self):
        assert set(OUTCOMES) == set(Trouble)

    @pytest.mark.parametrize("trouble", list(Trouble))
    @pytest.mark.parametrize("motor_time", [0, 1, 7])
    async def test_every_trouble_has_its_truthful_outcome(self, open_house, trouble, motor_time):
        house = open_house
        house.lock.motor_time = motor_time
        house.lock.faults.arm(trouble)
        async with house.life() as life:
            attempt = await life.perform("lock")
            check(house, life, attempt)
            assert (attempt.state, attempt.code, len(house.movements)) == OUTCOMES[trouble]
            await anyio.sleep(120)
            assert len(life.told(attempt)) == len(life.events)
            assert len(house.movements) == OUTCOMES[trouble][2]

    @pytest.mark.parametrize("after", range(40))
    @pytest.mark.parametrize(
        "trouble",
        [
            Trouble.LOSE_INDICATION,
            Trouble.DELAY_INDICATION,
            Trouble.REORDER_INDICATION,
            Trouble.DUPLICATE_INDICATION,
        ],
    )
    async def test_an_indication_gone_astray_never_makes_it_move_twice_or_lie(self, house, trouble, after):
        house.lock.faults.arm(trouble, after=after)
        async with house.life() as life:
            attempt = await life.perform()
            check(house, life, attempt)
            assert attempt.state == "confirmed"
        assert len(house.movements) == 1

    @pytest.mark.parametrize(("motor_time", "state"), [(60, "confirmed"), (100, "unknown")])
    async def test_a_motor_that_turns_for_longer_than_any_is_not_waited_for_for_ever(self, house, motor_time, state):
        house.lock.motor_time = motor_time
        async with house.life() as life:
            attempt = await life.perform()
            check(house, life, attempt)
            assert attempt.state == state
            assert anyio.current_time() <= worker.ACTUATION_TIME + BUDGET + 1
        assert len(house.movements) == 1

    async def test_someone_turning_back_after_the_end_does_not_undo_the_outcome(self, house):
        async with house.life() as life:
            attempt = await life.perform()
            house.lock.manual_lock()
            await anyio.sleep(20)
            assert (await life.perform("lock")).changed is False
            check(house, life, attempt)

    async def test_a_wrong_key_is_told_and_not_tried_again(self, house):
        stranger = house.twins[FRONT].authorize("Stranger")[0]
        house.twins[FRONT].keyring.users.pop(house.credentials[FRONT].auth_id)
        assert stranger
        async with house.life() as life:
            attempt = await life.perform()
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "NOT_AUTHORIZED")
            assert anyio.current_time() < 1
            assert life.device()["offline_reason"] == "credentials_refused"
            assert life.device()["lock_state"] == "unknown"

    async def test_a_lock_that_is_not_paired_says_so(self, house):
        house.credentials[FRONT] = None
        async with house.life() as life:
            attempt = await life.perform()
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "NOT_AUTHORIZED")
            assert "lock-bridge pair nuki" in attempt.message
        assert not house.radio.connects


class TestBeforeTheCommit:
    async def test_a_link_lost_is_made_again(self, house):
        """The link ends at the n-th write; the last one is the action's own, after the commit."""
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            for nth in (1, 2):
                cut = iter(range(nth - 1, -1, -1))
                link = house.radio.links[-1]
                link.on_write = lambda _c, data, link=link, cut=cut: (data,) if next(cut) else link.drop() or ()
                attempt = await life.perform("unlock" if nth == 1 else "lock")
                check(house, life, attempt)
                assert (attempt.state, len(house.movements), len(house.radio.connects)) == ("confirmed", nth, nth + 1)

    async def test_a_lock_that_refuses_for_a_while_is_tried_until_it_does_not(self, house):
        house.radio.refusals = 5
        async with house.life() as life:
            attempt = await life.perform()
            assert attempt.state == "confirmed"
            assert 2 < anyio.current_time() < 5

    async def test_a_lock_that_never_answers_fails_at_the_deadline(self, house):
        house.radio.stuck.add(house.twins[FRONT].address)
        async with house.life() as life:
            attempt = await life.perform()
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "DEVICE_OFFLINE")
            assert anyio.current_time() == pytest.approx(TTL, abs=worker.RETRY_PAUSE + 0.1)

    async def test_a_lock_that_goes_out_of_range_is_not_shown_as_it_was(self, house):
        async with house.life() as life:
            await until(lambda: life.device()["lock_state"] == "locked")
            house.lock.offline()
            house.radio.stuck.add(house.twins[FRONT].address)
            await life.perform()
            assert not life.device()["online"]
            assert life.device()["offline_reason"] == "out_of_range"
            assert life.device()["lock_state"] == "unknown"

    async def test_the_reason_of_an_absence_is_told(self, house):
        house.radio.refusals = 1000
        async with house.life() as life:
            await life.perform()
            assert life.device()["offline_reason"] == "held_by_another"
            house.radio.refusals = 0
            house.radio.usable = False
            with pytest.raises(Refused, match="adapter"):
                await life.submit()

    async def test_an_adapter_that_goes_down_meanwhile_is_the_bridges_fault(self, house):
        house.radio.delays.extend([0.0, 5.0])
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            house.radio.links[-1].drop()
            receipt = await life.submit()
            house.radio.usable = False
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "BRIDGE_OFFLINE")
            assert life.device()["offline_reason"] == "adapter_down"

    async def test_a_deadline_that_passes_while_connecting_ends_it(self, house):
        house.radio.delays.extend([12, 12])
        async with house.life() as life:
            attempt = await life.perform(expires_in=10)
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "DEVICE_OFFLINE")
        assert not house.movements

    async def test_a_deadline_that_passes_in_the_queue_ends_it(self, house):
        house.lock.motor_time = 20
        async with house.life() as life:
            first = await life.submit("unlock")
            second = await life.submit("lock", expires_in=10)
            attempt = await life.ended(second)
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "ACTION_TIMEOUT")
            assert (await life.ended(first)).state == "confirmed"
        assert len(house.movements) == 1

    async def test_a_deadline_that_passes_while_the_commit_is_written_ends_it(self, house):
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            receipt = await life.submit(expires_in=10)
            house.disk_delay = 11
            await until(lambda: life.rows("SELECT state FROM attempt") == [("committed",)])
            assert anyio.current_time() > 10
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "ACTION_TIMEOUT")
        assert not house.movements

    async def test_p3_a_deadline_that_passes_while_the_driver_waits_before_it_sends_ends_it(self, house, monkeypatch):
        async def run_late(actuation, seen, last_check):
            await anyio.sleep(11)
            return await run(actuation, seen, last_check)

        run = Once.run
        monkeypatch.setattr(Once, "run", run_late)
        async with house.life() as life:
            attempt = await life.perform(expires_in=10)
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "ACTION_TIMEOUT")
            assert anyio.current_time() > 10
        assert not house.movements
