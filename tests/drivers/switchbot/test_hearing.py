"""What a session with a virtual SwitchBot lock hears of others, and of what it did not expect."""

import anyio
import pytest
import trio.testing

from drivers.base import Action, Confirmed, DriverError, LinkLost, LockState, Unknown
from drivers.switchbot.protocol import commands
from drivers.switchbot.protocol.crypto import Mode
from drivers.switchbot.protocol.errors import Status
from drivers.switchbot.protocol.frames import Uuid
from drivers.virtual.faults import Trouble
from tests.support.switchbot_bench import TAG, bench

EACH_MODE = pytest.mark.parametrize("mode", Mode)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class TestHearing:
    """Of what others do, over a standing link."""

    @EACH_MODE
    async def test_a_turn_by_hand_is_heard(self, mode):
        async with bench(mode=mode) as found:
            await found.session.read()
            found.twin.lock.manual_unlock()
            with anyio.fail_after(1):
                await found.session.changed()
            assert (await found.session.read()).lock_state is LockState.UNLOCKED

    async def test_what_is_told_twice_is_no_news(self):
        async with bench() as found:
            found.twin.lock.manual_unlock()
            await found.session.read()
            with anyio.move_on_after(600) as waiting:
                await found.session.changed()
            assert waiting.cancelled_caught
            assert (await found.session.read()).lock_state is LockState.UNLOCKED

    async def test_what_was_told_during_a_question_is_news(self):
        async with bench() as found:
            await found.session.read()
            found.twin.lock.manual_unlock()
            await found.session.prepare(Action.LOCK, TAG)
            with anyio.fail_after(1):
                await found.session.changed()

    async def test_it_goes_on_though_the_lock_falls_silent_after_a_while(self):
        async with bench() as found:
            await found.session.read()
            with anyio.move_on_after(600):
                await found.session.changed()
            found.twin.lock.manual_unlock()
            with anyio.fail_after(1):
                await found.session.changed()

    async def test_a_change_of_which_no_word_came_is_found_all_the_same(self):
        async with bench() as found:
            await found.session.read()
            found.twin.lock.faults.arm(Trouble.LOSE_INDICATION)
            found.twin.lock.manual_unlock()
            with anyio.fail_after(60):
                await found.session.changed()
            assert (await found.session.read()).lock_state is LockState.UNLOCKED

    async def test_it_goes_on_after_a_question_was_broken_off(self):
        async with bench() as found:
            await found.session.read()
            found.link.on_notify = lambda *_: []
            with anyio.move_on_after(1) as broken_off:
                await found.session.read()
            assert broken_off.cancelled_caught
            found.link.on_notify = lambda _, data: [data]
            found.twin.lock.manual_unlock()
            with anyio.fail_after(1):
                await found.session.changed()

    async def test_a_report_that_is_not_understood_is_news(self):
        async with bench() as found:
            await found.session.read()
            known = found.session._cipher
            found.link.deliver(Uuid.NOTIFY.value, bytes((0x0F, found.twin.key_id)) + known.seal(b"\x80"))
            with anyio.fail_after(1):
                await found.session.changed()

    async def test_a_link_that_ends_is_told(self):
        async with bench() as found:
            found.twin.lock.offline()
            with pytest.raises(LinkLost):
                await found.session.changed()


class TestAnswers:
    """That are not what they should be."""

    @staticmethod
    def instead(found, message, answer):
        """Have the lock answer a command otherwise, and all else as ever."""
        serve = found.twin._serve
        found.twin._serve = lambda asked: answer(found.twin) if asked == message else serve(asked)

    @pytest.mark.parametrize("action", list(Action))
    async def test_a_lock_that_is_busy_when_it_is_looked_at_is_looked_at_again(self, action):
        async with bench(locked=action is not Action.LOCK) as found:
            found.twin.lock.hold_time = 60
            actuation = await found.session.prepare(action, TAG)
            ask = commands.ask(found.twin.model)
            serve, busy = found.twin._serve, [True, True]

            def answer(twin):
                return twin._answer(status=Status.BUSY) if busy and busy.pop() else serve(ask)

            self.instead(found, ask, answer)
            assert isinstance(await actuation.run(found.seen.append), Confirmed)
            assert not busy

    async def test_a_lock_that_refuses_to_be_looked_at_leaves_the_end_unknown(self):
        async with bench() as found:
            actuation = await found.session.prepare(Action.UNLOCK, TAG)
            self.instead(found, commands.ask(found.twin.model), lambda twin: twin._answer(status=Status.ERROR))
            assert isinstance(await actuation.run(found.seen.append), Unknown)

    async def test_a_state_that_is_not_understood_is_told_with_what_to_look_at(self):
        async with bench() as found:
            self.instead(found, commands.ask(found.twin.model), lambda twin: twin._answer(b"\x80"))
            with pytest.raises(DriverError, match="model configured right"):
                await found.session.read()

    async def test_a_report_that_is_not_understood_is_looked_after(self):
        async with bench() as found:
            actuation = await found.session.prepare(Action.UNLOCK, TAG)
            found.link.on_notify = lambda _, data: [data[:5] if data[0] == Status.PUSH else data]
            assert isinstance(await actuation.run(found.seen.append), Confirmed)

    async def test_a_refusal_says_what_it_is(self):
        async with bench() as found:
            found.twin._serve = lambda _: found.twin._answer(status=Status.VERSION)
            with pytest.raises(DriverError, match="firmware") as refused:
                await found.session.read()
            assert refused.value.vendor_code == Status.VERSION
