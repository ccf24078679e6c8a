import anyio
import pytest
import trio.testing

from drivers.base import LinkLost, PairingError, PairingRequest
from drivers.nuki.pairing import pair
from drivers.nuki.patience import STEP_TIMEOUT
from drivers.nuki.protocol import pairing_commands as p
from drivers.nuki.protocol.codes import Command, ErrorCode, Uuid
from drivers.nuki.protocol.commands import Challenge, ErrorReport, RequestData, Status, decode
from drivers.nuki.protocol.crypto import KeyPair, shared_key
from drivers.nuki.protocol.frames import HOST_PAIRING_SIZES, plain, sealed, take_plain, take_sealed
from tests.support.scripted_link import ScriptedLink

REQUEST = PairingRequest(name="Bridge", app_id=42, pin=1234)
ULTRA_REQUEST = PairingRequest(name="Bridge", app_id=42, pin=123456)
K1, K2, K3 = b"1" * 32, b"2" * 32, b"3" * 32
LOCK_ID = bytes(range(16))
AUTH_ID = 0x1234


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Lock:
    """The lock's side of pairing; `instead` replaces its answer to a command, `twice` says each answer twice."""

    def __init__(self, *, ultra=False, instead=None, twice=False):
        self.link = ScriptedLink((Uuid.ULTRA_PAIRING if ultra else Uuid.PAIRING).value)
        self.link.on_write = self._on_write
        self.ultra = ultra
        self.instead = instead or {}
        self.twice = twice
        self.keys = KeyPair.generate()
        self.key = b""
        self.host = b""
        self.heard = []

    def _on_write(self, data):
        taken = take_plain(HOST_PAIRING_SIZES)(data)
        if taken is None:
            frame, _ = take_sealed(lambda _: self.key)(data)
            message = p.UltraAuthorizationData.decode(frame.payload)
        else:
            message = decode(p.PAIRING_FROM_HOST, taken[0].command, taken[0].payload)
        self.heard.append(message)
        answer = self._answer(message)
        answer = self.instead.get(message.command, answer)
        if callable(answer):
            answer = answer(self)
        if answer is not None:
            frame = answer if isinstance(answer, bytes) else plain(answer)
            self.link.push(*[frame] * (2 if self.twice else 1))

    def _answer(self, message):
        match message:
            case RequestData(wanted=Command.PUBLIC_KEY):
                return p.PublicKey(self.keys.public)
            case p.PublicKey():
                self.host = message.key
                self.key = shared_key(self.keys.private, self.host)
                return Challenge(K1)
            case p.Authenticator():
                assert message.verify(self.key, self.host, self.keys.public, K1)
                return p.AuthorizationInfo(1) if self.ultra else Challenge(K2)
            case p.AuthorizationData():
                assert message.verify(self.key, K2)
                return p.AuthorizationId.sign(self.key, message.nonce, auth_id=AUTH_ID, uuid=LOCK_ID, nonce=K3)
            case p.UltraAuthorizationData():
                return sealed(p.UltraAuthorizationId(AUTH_ID, LOCK_ID), self.key, p.ULTRA_PLACEHOLDER)
            case p.Confirmation():
                assert message.verify(self.key, K3)
                return Status(0)


@pytest.mark.parametrize("twice", [False, True])
async def test_pairing_gives_the_credential_that_the_lock_gave(twice):
    lock = Lock(twice=twice)
    credential = await pair(lock.link, REQUEST)
    assert credential.key_bytes() == lock.key
    assert (credential.auth_id, credential.app_id, credential.name) == (AUTH_ID, 42, "Bridge")
    assert (credential.ultra, credential.uuid) == (False, LOCK_ID.hex())
    assert credential.pin.get_secret_value() == "1234"
    assert lock.link.subscriptions == 0


@pytest.mark.parametrize(("as_bridge", "kind"), [(False, 0), (True, 1)])
async def test_the_bridge_introduces_itself_as_what_was_asked(as_bridge, kind):
    lock = Lock()
    credential = await pair(lock.link, PairingRequest("Bridge", 42, as_bridge=as_bridge))
    (introduction,) = [message for message in lock.heard if isinstance(message, p.AuthorizationData)]
    assert (introduction.kind, introduction.app_id, introduction.name) == (kind, 42, "Bridge")
    assert credential.pin is None


@pytest.mark.parametrize("twice", [False, True])
async def test_an_ultra_is_paired_with_by_its_pin(twice):
    lock = Lock(ultra=True, twice=twice)
    credential = await pair(lock.link, ULTRA_REQUEST)
    assert lock.heard[-1] == p.UltraAuthorizationData(42, "Bridge", 123456)
    assert (credential.auth_id, credential.ultra, credential.uuid) == (AUTH_ID, True, LOCK_ID.hex())
    assert credential.wire_pin().wide
    assert credential.key_bytes() == lock.key


async def test_every_pairing_makes_a_new_key():
    first, second = Lock(), Lock()
    await pair(first.link, REQUEST)
    await pair(second.link, REQUEST)
    assert first.host != second.host


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(lambda lock: p.AuthorizationId(bytes(32), AUTH_ID, LOCK_ID, K3), id="no proof"),
        pytest.param(
            lambda lock: p.AuthorizationId.sign(lock.key, K3, auth_id=AUTH_ID, uuid=LOCK_ID, nonce=K3),
            id="proof of another pairing",
        ),
        pytest.param(
            lambda lock: p.AuthorizationId.sign(
                bytes(32), lock.heard[-1].nonce, auth_id=AUTH_ID, uuid=LOCK_ID, nonce=K3
            ),
            id="proof under another key",
        ),
    ],
)
async def test_an_answer_that_is_not_authentic_is_not_kept(forged):
    lock = Lock(instead={Command.AUTHORIZATION_DATA: forged})
    with pytest.raises(PairingError, match="not authentic"):
        await pair(lock.link, REQUEST)
    assert not any(isinstance(message, p.Confirmation) for message in lock.heard)


async def test_an_ultras_answer_in_clear_is_not_believed():
    lock = Lock(
        ultra=True, instead={Command.AUTHORIZATION_DATA: lambda lock: p.AuthorizationId(bytes(32), 1, LOCK_ID, K3)}
    )
    with pytest.raises(LinkLost):
        await pair(lock.link, ULTRA_REQUEST)


@pytest.mark.parametrize(
    ("at", "code", "advice"),
    [
        (Command.REQUEST_DATA, ErrorCode.NOT_PAIRING, "five seconds"),
        (Command.REQUEST_DATA, ErrorCode.DISABLED, "switched off in the Nuki app"),
        (Command.AUTHENTICATOR, ErrorCode.BAD_AUTHENTICATOR, "five seconds"),
        (Command.AUTHORIZATION_DATA, ErrorCode.MAX_USERS, "too many users"),
        (Command.CONFIRMATION, ErrorCode.BUSY, "busy"),
    ],
)
async def test_a_refusal_is_told_with_what_to_do(at, code, advice):
    lock = Lock(instead={at: ErrorReport(code, at)})
    with pytest.raises(PairingError, match=advice) as error:
        await pair(lock.link, REQUEST)
    assert error.value.vendor_code == code


@pytest.mark.parametrize("in_clear", [True, False])
async def test_a_wrong_pin_is_told(in_clear):
    report = ErrorReport(ErrorCode.BAD_PIN, Command.AUTHORIZATION_DATA)
    answer = report if in_clear else lambda lock: sealed(report, lock.key, p.ULTRA_PLACEHOLDER)
    lock = Lock(ultra=True, instead={Command.AUTHORIZATION_DATA: answer})
    with pytest.raises(PairingError, match="PIN is wrong"):
        await pair(lock.link, ULTRA_REQUEST)


@pytest.mark.parametrize(
    ("ultra", "request_", "advice"),
    [
        (True, PairingRequest("Bridge", 1), "six-digit"),
        (True, PairingRequest("Bridge", 1, pin=1, as_bridge=True), "as an app"),
        (True, PairingRequest("Bridge", 1, pin=2**32), "no security PIN"),
        (False, PairingRequest("Bridge", 1, pin=123456), "no security PIN"),
        (False, PairingRequest("Bridge", 1, pin=-1), "no security PIN"),
        (False, PairingRequest("ü" * 17, 1), "shorter"),
    ],
)
async def test_a_request_that_cannot_succeed_is_refused_before_the_lock_hears_of_it(ultra, request_, advice):
    lock = Lock(ultra=ultra)
    with pytest.raises(PairingError, match=advice) as error:
        await pair(lock.link, request_)
    assert lock.heard == []
    assert "123456" not in str(error.value)


async def test_a_device_without_pairing_is_told():
    with pytest.raises(PairingError, match="switched off"):
        await pair(ScriptedLink(Uuid.USDIO.value), REQUEST)


async def test_a_public_key_that_gives_no_secret_ends_the_pairing():
    lock = Lock(instead={Command.REQUEST_DATA: p.PublicKey(bytes(32))})
    with pytest.raises(PairingError):
        await pair(lock.link, REQUEST)


async def test_a_pairing_that_the_lock_does_not_complete_is_none():
    lock = Lock(instead={Command.CONFIRMATION: Status(1)})
    with pytest.raises(PairingError, match="did not complete"):
        await pair(lock.link, REQUEST)


STEPS = [
    Command.REQUEST_DATA,
    Command.PUBLIC_KEY,
    Command.AUTHENTICATOR,
    Command.AUTHORIZATION_DATA,
    Command.CONFIRMATION,
]


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("answer", [lambda _: None, lambda _: b"\xff" * 100, lambda _: plain(Status(0))[:3]])
async def test_a_lock_that_does_not_answer_is_lost_in_time(at, answer):
    lock = Lock(instead={at: answer})
    began = anyio.current_time()
    with pytest.raises(LinkLost):
        await pair(lock.link, REQUEST)
    assert anyio.current_time() - began == pytest.approx(STEP_TIMEOUT)


@pytest.mark.parametrize("at", STEPS)
async def test_a_link_that_ends_is_lost(at):
    lock = Lock(instead={at: lambda lock: lock.link.drop()})
    with pytest.raises(LinkLost):
        await pair(lock.link, REQUEST)


async def test_a_link_that_ends_while_waiting_is_lost():
    lock = Lock(instead={Command.REQUEST_DATA: lambda _: None})
    async with anyio.create_task_group() as group:

        async def drop():
            await anyio.sleep(1)
            lock.link.drop()

        group.start_soon(drop)
        with pytest.raises(LinkLost):
            await pair(lock.link, REQUEST)
        assert anyio.current_time() > 0


async def test_a_write_that_hangs_is_bounded():
    lock = Lock()
    lock.link.hangs = True
    with anyio.fail_after(STEP_TIMEOUT + 1), pytest.raises(LinkLost):
        await pair(lock.link, REQUEST)


async def test_other_messages_in_between_are_passed_over():
    lock = Lock(instead={Command.PUBLIC_KEY: lambda _: plain(Status(0)) + plain(Challenge(K1))})
    await pair(lock.link, REQUEST)
    lock = Lock(
        ultra=True, instead={Command.AUTHORIZATION_DATA: lambda lock: plain(Status(0)) + lock._answer(lock.heard[-1])}
    )
    await pair(lock.link, ULTRA_REQUEST)


async def test_endless_chatter_does_not_hang_a_pairing():
    lock = Lock(instead={Command.REQUEST_DATA: lambda _: None})

    async def chatter():
        for number in range(1000):
            await anyio.sleep(1)
            lock.link.push(plain(Challenge(number.to_bytes(32, "little"))))

    async with anyio.create_task_group() as group:
        group.start_soon(chatter)
        with anyio.fail_after(STEP_TIMEOUT + 1), pytest.raises(LinkLost):
            await pair(lock.link, REQUEST)
        group.cancel_scope.cancel()
