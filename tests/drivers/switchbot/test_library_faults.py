"""What the vendor's library does wrong, each fault excluded here; that it does so is shown in `test_pyswitchbot`."""

import subprocess
import sys

import anyio
import pytest
import trio.testing

from drivers.base import Action, Confirmed, Failed, LinkLost, LockState, Unknown
from drivers.switchbot.course import STILL_LOOKS
from drivers.switchbot.protocol.commands import Turn
from drivers.switchbot.protocol.crypto import Mode
from drivers.virtual.faults import Trouble
from tests.support.switchbot_bench import TAG, Eavesdropper, bench, living, session_with

EACH_MODE = pytest.mark.parametrize("mode", Mode)
LOST = (Trouble.DROP_BEFORE_WRITE, Trouble.DROP_AFTER_WRITE, Trouble.DROP_AFTER_ACCEPTED)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


def overhear(found):
    """Listen in on a session from its next IV on."""
    ear = Eavesdropper(found.twin)

    def wrote(_, frame):
        found.writes.append(frame)
        ear.wrote(frame)
        return [frame]

    def said(_, frame):
        ear.said(frame)
        return [frame]

    found.link.on_write, found.link.on_notify = wrote, said
    found.session._cipher = None
    return ear


@EACH_MODE
async def test_a_command_is_sent_whatever_was_known_of_the_lock_before(mode):
    async with bench(mode=mode) as found:
        assert (await found.session.read()).lock_state is LockState.LOCKED
        await found.act(Action.LOCK)
        assert [movement.action for movement in found.twin.lock.movements] == [Action.LOCK]


async def test_nothing_that_the_lock_advertises_is_taken_for_its_state():
    async with living() as twin:
        twin.stale = True
        twin.lock.manual_unlock()
        async with session_with(twin) as found:
            assert (await found.session.read()).lock_state is LockState.UNLOCKED


@EACH_MODE
@pytest.mark.parametrize("trouble", [Trouble.JAM, Trouble.STALL, Trouble.MOTOR_POWER])
async def test_the_receipt_of_a_command_is_no_success(mode, trouble):
    async with bench(mode=mode) as found:
        found.twin.lock.faults.arm(trouble)
        outcome = await found.act(Action.UNLOCK)
        assert isinstance(outcome, Failed if trouble is Trouble.JAM else Unknown)


@EACH_MODE
async def test_the_end_is_confirmed_by_what_the_lock_says_under_an_iv_of_after_the_write(mode):
    async with bench(mode=mode) as found:
        ear = overhear(found)
        assert isinstance(await found.act(Action.UNLOCK), Confirmed)
        assert len(set(ear.ivs)) == len(ear.ivs) == 2


@EACH_MODE
async def test_each_look_has_an_iv_of_its_own(mode):
    async with bench(mode=mode) as found:
        ear = overhear(found)
        found.twin.lock.faults.arm(Trouble.STALL)
        await found.act(Action.UNLOCK)
        assert len(set(ear.ivs)) == len(ear.ivs) == 1 + STILL_LOOKS


@EACH_MODE
async def test_a_receipt_that_comes_late_is_no_answer_to_what_is_asked_next(mode):
    async with bench(mode=mode) as found:
        actuation = await found.session.prepare(Action.UNLOCK, TAG)
        held = []
        found.link.on_notify = lambda _, frame: held.append(frame) or []
        with anyio.move_on_after(3):
            await actuation.run(found.seen.append)
        found.link.on_notify = lambda _, frame: [*held, frame]
        assert (await found.session.read()).lock_state is LockState.UNLOCKED


async def test_a_lock_whose_messages_were_genuine_is_not_believed_others():
    """Not even under a new IV, where the first message would decide anew."""
    async with bench(mode=Mode.GCM) as found:
        await found.session.read()
        found.session._cipher = None
        found.link.on_notify = lambda _, frame: [frame if len(frame) == 20 else frame[:2] + b"\0\0" + frame[4:]]
        with pytest.raises(LinkLost):
            await found.session.read()


@EACH_MODE
@pytest.mark.parametrize("trouble", LOST)
async def test_nothing_is_sent_again_after_the_link_is_lost(mode, trouble):
    async with bench(mode=mode) as found:
        ear = overhear(found)
        found.twin.lock.faults.arm(trouble)
        assert isinstance(await found.act(Action.UNLOCK), Unknown)
        written = len(found.writes)
        await anyio.sleep(60)
        assert ear.turns == [Turn.UNLOCK]
        assert len(found.writes) == written
        assert not found.twin.air.central


@EACH_MODE
@pytest.mark.parametrize("trouble", [Trouble.STALL, Trouble.LOSE_INDICATION, Trouble.BUSY, Trouble.JAM])
async def test_nothing_that_moves_the_bolt_is_sent_twice(mode, trouble):
    async with bench(mode=mode) as found:
        ear = overhear(found)
        actuation = await found.session.prepare(Action.UNLOCK, TAG)
        found.twin.lock.faults.arm(trouble, times=3)
        await actuation.run(found.seen.append)
        assert ear.turns == [Turn.UNLOCK]


@EACH_MODE
async def test_each_connection_begins_with_an_iv_of_its_own(mode):
    async with living(mode=mode) as twin:
        ivs = []
        for _ in range(2):
            async with session_with(twin) as found:
                assert found.writes[0].hex() == f"570000000f2103{twin.key_id:02x}"
                ivs += found.session._ivs
                assert isinstance(await found.act(Action.UNLOCK), Confirmed)
        assert len(set(ivs)) == 2


@EACH_MODE
async def test_an_iv_that_served_before_serves_no_more(mode):
    async with bench(mode=mode) as found:
        (old,) = found.session._ivs
        found.twin._random = lambda size: old[:size]
        found.session._cipher = None
        with pytest.raises(LinkLost, match="did not answer"):
            await found.session.read()


def test_the_driver_knows_no_adapter_and_no_library():
    """It has its link, and nothing by which it could look for another."""
    script = (
        "import sys; import drivers.switchbot, drivers.switchbot.virtual;"
        " sys.exit(any(name.split('.')[0] in ('switchbot', 'bleak', 'bleak_retry_connector', 'asyncio')"
        " for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@EACH_MODE
async def test_nothing_of_it_is_logged(mode, caplog):
    caplog.set_level("DEBUG")
    async with bench(mode=mode) as found:
        await found.session.read()
        await found.act(Action.UNLOCK)
    assert not caplog.records
