"""The whole way of a command over links that end, delay, double and invent, with locks that lie and people at the door.

The oracle is what the motor really did. Whatever the link does: no command moves the bolt twice (P2), and none is told
as done that was not (P6).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count

import anyio
import pytest
import trio.testing

from drivers.base import LockState
from drivers.nuki.protocol.codes import Command, ErrorCode, StatusCode, Uuid
from drivers.nuki.protocol.commands import ErrorReport, Status
from drivers.nuki.protocol.frames import plain, sealed
from drivers.nuki.virtual.twin import Refused
from drivers.virtual.faults import Trouble
from tests.support.house import FRONT, House, check, until

STRANGER = bytes(32)
USDIO = Uuid.USDIO.value


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Cut:
    """Ends a link once, before or after the value of a number that passes one way, counted over all links."""

    def __init__(self, house, way, number, *, arrives):
        self._numbers = count()
        self._way = way
        self._number = number
        self._arrives = arrives
        self.done = False
        house.radio.on_link = self._meet

    def _meet(self, link):
        def pass_on(_characteristic, data):
            strikes = next(self._numbers) == self._number
            self.done = self.done or strikes
            if not strikes or self._arrives:
                yield data
            if strikes:
                link.drop()

        setattr(link, self._way, pass_on)


class TestTheLinkEnds:
    @pytest.mark.parametrize("action", ["lock", "unlock", "unlatch"])
    @pytest.mark.parametrize("arrives", [False, True])
    @pytest.mark.parametrize("way", ["on_write", "on_notify"])
    async def test_p2_at_any_message_of_the_exchange_it_moves_once_and_tells_the_truth(
        self, tmp_path, way, arrives, action
    ):
        """The one loss that leaves no trace is that of the action itself: unknown, and nothing moved."""
        states = []
        for number in range(200):
            folder = tmp_path / str(number)
            folder.mkdir()
            async with House.standing(folder, locked=action != "lock") as house:
                house.lock_fields["read_log"] = False  # the messages are the command's alone
                cut = Cut(house, way, number, arrives=arrives)
                async with house.life() as life:
                    await until(lambda life=life: life.device()["online"])
                    attempt = await life.perform(action)
                    check(house, life, attempt)
                    await anyio.sleep(60)
                states.append((attempt.state, len(house.movements)))
            if not cut.done:
                break
        assert 3 <= number < 200
        assert set(states) <= {("confirmed", 1), ("unknown", 0)}
        assert states.count(("unknown", 0)) == ((way == "on_notify") is arrives)

    @pytest.mark.parametrize("trouble", [Trouble.JAM_FREES_ITSELF, Trouble.KNOB, Trouble.JAM])
    async def test_p6_at_any_report_of_a_troubled_travel_the_outcome_is_what_the_bolt_did(self, tmp_path, trouble):
        for number in range(200):
            folder = tmp_path / str(number)
            folder.mkdir()
            async with House.standing(folder, motor_time=3) as house:
                house.lock.faults.arm(trouble)
                cut = Cut(house, "on_notify", number, arrives=False)
                async with house.life() as life:
                    attempt = await life.perform("unlock")
                    check(house, life, attempt)
                    assert life.device()["lock_state"] == house.lock.state
                expected = {Trouble.JAM_FREES_ITSELF: "confirmed", Trouble.FALSE_SUCCESS: "unknown"}
                assert attempt.state == expected.get(trouble, "failed")
                assert len(house.movements) == (trouble is not Trouble.FALSE_SUCCESS)
            if not cut.done:
                break
        assert 20 < number < 200


def foreign(twin):
    """What may be heard on the characteristic that is no word of this lock to this bridge."""
    return {
        "of another user": sealed(Status(StatusCode.COMPLETE), STRANGER, 4242, bytes(24)),
        "under another key": sealed(Status(StatusCode.COMPLETE), STRANGER, next(iter(twin.keyring.users)), bytes(24)),
        "in clear": plain(Status(StatusCode.COMPLETE)),
        "a refusal in clear": plain(ErrorReport(ErrorCode.BUSY, Command.LOCK_ACTION)),
        "garbage": bytes(range(1, 20)),
        "nothing": b"",
    }


KINDS = ["of another user", "under another key", "in clear", "a refusal in clear", "garbage", "nothing"]


class TestForeignNotifications:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(("trouble", "outcome"), [(None, ("confirmed", 1)), (Trouble.STALL, ("unknown", 0))])
    async def test_p6_what_is_heard_between_its_messages_is_not_taken_for_one(self, house, kind, trouble, outcome):
        house.twins[FRONT].air.fragment = None
        if trouble:
            house.lock.faults.arm(trouble)
        async with babbling(house, kind) as life:
            attempt = await life.perform("unlock")
            check(house, life, attempt)
            assert (attempt.state, len(house.movements)) == outcome

    @pytest.mark.parametrize("kind", KINDS[:-1])
    async def test_a_link_on_which_every_message_is_torn_moves_nothing_and_fails_in_time(self, house, kind):
        async with babbling(house, kind) as life:
            attempt = await life.perform("unlock")
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "ACTION_TIMEOUT")
            assert house.movements == []

    async def test_p6_the_reports_of_an_earlier_action_prove_nothing_of_a_later_one(self, house):
        """Every sealed message that the lock ever sent comes again, after the lock fell silent."""
        house.twins[FRONT].air.fragment = None
        heard = []

        def keep(_characteristic, data):
            heard.append(data)
            return [data]

        house.radio.on_link = lambda link: setattr(link, "on_notify", keep)
        async with house.life() as life:
            check(house, life, await life.perform("unlock"))
            house.lock.manual_lock()
            await anyio.sleep(120)
            earlier = list(heard)
            house.lock.faults.arm(Trouble.STALL)
            receipt = await life.submit("unlock")
            await until(lambda: life.rows("SELECT state FROM attempt")[-1] == ("committed",))
            for data in earlier:
                house.radio.links[-1].deliver(USDIO, data)
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert attempt.state == "unknown"
            assert life.device()["lock_state"] == "locked"
        assert len(house.movements) == 1


@asynccontextmanager
async def babbling(house, kind):
    """A life in which something foreign is heard before and after each indication."""
    noise = foreign(house.twins[FRONT])[kind]

    def babble(_characteristic, data):
        yield noise
        yield data
        yield noise

    house.radio.on_link = lambda link: setattr(link, "on_notify", babble)
    async with house.life() as life:
        yield life


class TestLateReports:
    @pytest.mark.parametrize("delay", [3.0, 20.0, 50.0])
    @pytest.mark.parametrize("after", range(0, 40, 4))
    async def test_those_of_one_command_are_not_taken_for_those_of_the_next(self, house, delay, after):
        house.twins[FRONT].air.delay = delay
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            house.lock.faults.arm(Trouble.DELAY_INDICATION, after=after)
            first = await life.perform("unlock")
            check(house, life, first)
            house.lock.faults.arm(Trouble.STALL)
            second = await life.perform("lock")
            check(house, life, second)
            assert second.changed is not True
        assert len(house.movements) <= 1


class TestLies:
    @pytest.mark.parametrize("code", [ErrorCode.BUSY, ErrorCode.MOTOR_BLOCKED, ErrorCode.UNKNOWN])
    async def test_a_lock_that_refuses_and_moves_all_the_same_is_asked_once_and_not_shown_where_it_was(
        self, house, code
    ):
        def refuse():
            raise Refused(code)

        house.twins[FRONT]._accept = refuse
        async with house.life() as life:
            receipt = await life.submit("unlock")
            attempt = await life.ended(receipt)
            assert attempt.state in {"failed", "unknown"}
            await anyio.sleep(60)
            assert life.device()["lock_state"] == "unlocked"
            again = await life.perform("unlock")
            assert (again.state, again.changed) == ("confirmed", False)
        assert len(house.movements) == 1

    async def test_a_lock_that_is_busy_with_somebody_else_is_shown_where_that_left_it(self, house):
        house.lock.motor_time = 2
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            link = house.radio.links[-1]

            def somebody_was_faster(_characteristic, data):
                if house.lock.state is LockState.LOCKED and next(writes) == 2:
                    house.lock.fob()
                yield data

            writes = count()
            link.on_write = somebody_was_faster
            attempt = await life.perform("unlock")
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "FIRMWARE_REJECTED")
            await until(lambda: life.device()["lock_state"] == "unlocked")
        assert len(house.movements) == 1

    async def test_p2_p6_a_lock_that_accepts_and_does_nothing_is_unknown_and_asked_once(self, house):
        house.lock.faults.arm(Trouble.STALL)
        async with house.life() as life:
            attempt = await life.perform("unlock")
            check(house, life, attempt)
            assert attempt.state == "unknown"
            assert life.device()["lock_state"] == "locked"
            await anyio.sleep(600)
        assert house.movements == []


class TestPeopleAtTheDoor:
    @pytest.mark.parametrize("drops", [False, True])
    @pytest.mark.parametrize("quarter", range(1, 20))
    async def test_p6_a_knob_that_is_turned_meanwhile_is_told_as_it_ended(self, house, quarter, drops):
        """Both ways, with the link and without, at any moment of a travel of three seconds."""
        house.lock.motor_time = 3
        async with house.life() as life:
            receipt = await life.submit("unlock")
            await anyio.sleep(quarter / 4)
            if drops:
                house.radio.links[-1].drop()
            house.lock.manual_lock()
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            if attempt.state == "confirmed":
                assert quarter / 4 >= 3
            assert len(house.movements) == 1

    @pytest.mark.parametrize("tenth", range(0, 40, 3))
    async def test_another_one_who_operates_it_meanwhile_is_not_taken_for_us(self, house, tenth):
        """Somebody with a fob, a little before or after: two operations never count as one, nor one as two."""
        house.lock.motor_time = 2
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            house.radio.delays.append(1.0)
            house.radio.links[-1].drop()
            receipt = await life.submit("unlock")
            await anyio.sleep(tenth / 10)
            house.lock.fob()
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            ours = [movement for movement in house.movements if movement.tag == attempt.tag]
            assert attempt.state == "confirmed" or not ours
            assert bool(ours) is (attempt.changed is True)
