import pytest
import trio.testing

from drivers.nuki.protocol.codes import Command, ErrorCode, Turn
from drivers.nuki.protocol.commands import (
    AuthorizationCount,
    AuthorizationEntry,
    ErrorReport,
    LogCount,
    LogEntry,
    RequestAuthorizations,
    RequestLog,
    Status,
    VerifyPin,
)
from drivers.nuki.protocol.wire import Pin
from tests.support.nuki_host import Host, living

PIN = 4321
COMPLETE = Status(0)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


def host_of(twin):
    return Host(twin, twin.authorize("Bridge")[0])


def log_request(nonce, *, start=0, count=100, newest_first=True, total=False):
    return RequestLog(start, count, newest_first, total, nonce, Pin(PIN))


async def test_the_suffix_of_an_action_stands_behind_the_name_in_the_log():
    async with living(motor_time=0, pin=PIN) as twin:
        host = host_of(twin)
        await host.act(Turn.UNLOCK, suffix=b"0123456789abcdefghij")
        await host.ask(log_request(await host.nonce()))
        (entry,) = (m for m in host.messages if isinstance(m, LogEntry))
        assert entry.name == b"Bridge0123456789abcdefghij"
        assert (entry.auth_id, entry.index) == (host.user.auth_id, 1)
        assert twin.lock.movements[0].tag == b"0123456789abcdefghij"


async def test_the_log_is_read_from_either_end_and_beyond_an_index():
    async with living(pin=PIN) as twin:
        host = host_of(twin)
        for _ in range(2):
            twin.lock.manual_unlock()
            twin.lock.manual_lock()

        async def indexes(**options):
            await host.send(log_request(await host.nonce(), **options))
            *entries, end = host.new()
            assert end == COMPLETE
            return [entry.index for entry in entries]

        assert await indexes() == [4, 3, 2, 1]
        assert await indexes(newest_first=False) == [1, 2, 3, 4]
        assert await indexes(start=3) == [2, 1]
        assert await indexes(start=2, newest_first=False) == [3, 4]
        assert await indexes(count=1) == [4]


async def test_the_log_tells_its_length_when_asked():
    async with living(pin=PIN) as twin:
        twin.lock.manual_unlock()
        host = host_of(twin)
        count = await host.ask(log_request(await host.nonce(), total=True))
        assert count == LogCount(enabled=True, count=1, door_sensor=True, door_log=True)


async def test_a_log_that_is_switched_off_is_empty():
    async with living(pin=PIN) as twin:
        twin.logging = False
        twin.lock.manual_unlock()
        host = host_of(twin)
        assert await host.ask(log_request(await host.nonce())) == COMPLETE


async def test_the_first_authorization_told_is_ones_own():
    async with living(pin=PIN) as twin:
        twin.authorize("Phone")
        host = host_of(twin)
        await host.send(RequestAuthorizations(0, 10, await host.nonce(), Pin(PIN)))
        count, own, *others, end = host.new()
        assert (count, end) == (AuthorizationCount(3), COMPLETE)
        assert (own.auth_id, own.name) == (host.user.auth_id, "Bridge")
        assert [entry.name for entry in others] == ["Fob", "Phone"]
        assert all(isinstance(entry, AuthorizationEntry) for entry in others)


async def test_a_right_pin_is_right():
    async with living(pin=PIN) as twin:
        host = host_of(twin)
        assert await host.ask(VerifyPin(await host.nonce(), Pin(PIN))) == COMPLETE


async def test_an_ultras_pin_is_wide():
    async with living(pin=654321, ultra=True) as twin:
        host = host_of(twin)
        assert await host.ask(VerifyPin(await host.nonce(), Pin(654321, wide=True))) == COMPLETE
        answer = await host.ask(VerifyPin(await host.nonce(), Pin(PIN)))
        assert answer == ErrorReport(ErrorCode.BAD_LENGTH, Command.VERIFY_PIN)


async def test_wrong_pins_lock_the_pin_out_even_if_then_right():
    async with living(pin=PIN) as twin:
        host = host_of(twin)
        answers = [await host.ask(VerifyPin(await host.nonce(), Pin(1))) for _ in range(3)]
        assert answers == [ErrorReport(ErrorCode.BAD_PIN, Command.VERIFY_PIN)] * 3
        answer = await host.ask(VerifyPin(await host.nonce(), Pin(PIN)))
        assert answer == ErrorReport(ErrorCode.TOO_MANY_PIN_ATTEMPTS, Command.VERIFY_PIN)


async def test_a_right_pin_forgives_the_wrong_ones_before():
    async with living(pin=PIN) as twin:
        host = host_of(twin)
        for pin in (1, 1, PIN, 1, 1):
            await host.ask(VerifyPin(await host.nonce(), Pin(pin)))
        assert await host.ask(VerifyPin(await host.nonce(), Pin(PIN))) == COMPLETE


async def test_a_pin_protected_request_without_its_pin_is_too_short():
    async with living(pin=PIN) as twin:
        host = host_of(twin)

        class Bare(VerifyPin):
            def encode(self):
                return self.nonce

        answer = await host.ask(Bare(await host.nonce(), Pin(PIN)))
        assert answer == ErrorReport(ErrorCode.BAD_LENGTH, Command.VERIFY_PIN)
