"""What the virtual SwitchBot lock does with what it should not get, and when it falls silent."""

import anyio
import pytest
import trio.testing

from drivers.base import LockState
from drivers.switchbot.protocol import commands
from drivers.switchbot.protocol.crypto import Mode, cipher
from drivers.switchbot.protocol.errors import Status
from drivers.switchbot.protocol.frames import Answer, Push, Uuid, ask_iv, command, granted, heard
from drivers.switchbot.virtual import SwitchBotTwin
from drivers.virtual.peripheral import AttError
from tests.support.switchbot_bench import living


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Host:
    """A connected central with the lock's key, or another."""

    mtu = 247

    def __init__(self, twin: SwitchBotTwin, key: bytes | None = None) -> None:
        self.twin = twin
        self.key = key or twin.key
        self.cipher = None
        self.frames: list[bytes] = []
        twin.connected(self)

    def notify(self, characteristic: str, data: bytes) -> None:
        assert characteristic == Uuid.NOTIFY
        self.frames.append(data)

    def drop(self) -> None:
        pass

    async def write(self, frame: bytes) -> bytes | None:
        """Write a frame; return the last that came since."""
        self.frames.clear()
        self.twin.write(Uuid.WRITE, frame)
        await trio.testing.wait_all_tasks_blocked()
        return self.frames[-1] if self.frames else None

    async def agree(self) -> None:
        given = granted(await self.write(ask_iv(self.twin.key_id)))
        self.cipher = cipher(given.mode, self.key, given.iv)

    async def ask(self, message: bytes) -> Answer | Push | None:
        if self.cipher is None:
            await self.agree()
        frame = await self.write(command(message, self.twin.key_id, self.cipher))
        answer = heard(frame, self.twin.key_id, self.cipher)
        self.cipher.advance()
        return answer


async def test_nothing_is_read_and_nothing_else_is_written():
    async with living() as twin:
        Host(twin)
        for refused in (lambda: twin.read(Uuid.NOTIFY), lambda: twin.write(Uuid.NOTIFY, b"")):
            with pytest.raises(AttError):
                refused()


async def test_what_is_written_after_the_end_of_a_connection_is_lost():
    async with living() as twin:
        host = Host(twin)
        twin.disconnected(host)
        assert await host.write(ask_iv(twin.key_id)) is None


async def test_a_command_before_an_iv_is_refused():
    async with living() as twin:
        assert await Host(twin).write(b"\x57\x01\0\0" + bytes(4)) == bytes((Status.WRONG_KEY,))


async def test_a_connection_does_not_know_the_iv_of_the_one_before():
    async with living() as twin:
        host = Host(twin)
        await host.agree()
        twin.disconnected(host)
        twin.connected(host)
        frame = command(commands.BASIC_INFO, twin.key_id, host.cipher)
        assert await host.write(frame) == bytes((Status.WRONG_KEY,))


@pytest.mark.parametrize(("mode", "refusal"), [(Mode.CTR, Status.UNSUPPORTED), (Mode.GCM, Status.WRONG_KEY)])
async def test_another_key_is_found_out_by_the_tag_or_else_by_what_comes_of_it(mode, refusal):
    async with living(mode=mode) as twin:
        assert (await Host(twin, bytes(16)).ask(commands.ask(twin.model))).status == refusal


async def test_it_tells_nothing_unless_asked_nor_after_it_was_silenced_nor_for_longer_than_it_was_asked():
    async with living() as twin:
        host = Host(twin)

        async def turn_by_hand():
            host.frames.clear()
            twin.lock.turn(LockState.UNLOCKED if twin.lock.state is LockState.LOCKED else LockState.LOCKED)
            await trio.testing.wait_all_tasks_blocked()
            return [heard(frame, twin.key_id, host.cipher) for frame in host.frames]

        await host.agree()
        assert not await turn_by_hand()
        await host.ask(commands.listen(twin.model))
        assert [type(told) for told in await turn_by_hand()] == [Push]
        await host.ask(commands.SILENCE)
        assert not await turn_by_hand()
        await host.ask(commands.listen(twin.model))
        await anyio.sleep(commands.NEWS_SECONDS + 1)
        assert not await turn_by_hand()


async def test_its_keys_and_ivs_are_its_own():
    async with living() as one, living() as other:
        assert one.key != other.key


async def test_a_wrong_code_changes_nothing_of_what_it_advertises():
    async with living() as twin:
        before = twin.advertisement()
        assert not twin.lock.keypad("000000")
        assert twin.advertisement() == before
