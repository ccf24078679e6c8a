"""Pairing with a Nuki lock: making it trust a new key of ours ("Command usage examples", "Authorize app").

1. Each side proves that it holds the shared key. The lock's proof is checked before anything is kept: without it,
   whoever stands between us and the lock could have answered.
2. Every step is bounded, and every refusal is told with what to do next.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

from pydantic import SecretStr

from drivers.base import LinkLost, PairingError
from drivers.nuki.credential import UINT32, WIDEST_PIN, NukiCredential
from drivers.nuki.patience import STEP_TIMEOUT
from drivers.nuki.protocol.codes import AuthorizationType, Command, ErrorCode, StatusCode, Uuid
from drivers.nuki.protocol.commands import Challenge, ErrorReport, RequestData, Status, decode
from drivers.nuki.protocol.crypto import KeyPair, challenge, shared_key
from drivers.nuki.protocol.errors import ProtocolError, refusal
from drivers.nuki.protocol.frames import (
    PAIRING_SIZES,
    Frame,
    Reassembler,
    plain,
    sealed,
    take_first,
    take_plain,
    take_sealed,
)
from drivers.nuki.protocol.pairing_commands import (
    PAIRING_FROM_LOCK,
    ULTRA_PLACEHOLDER,
    Authenticator,
    AuthorizationData,
    AuthorizationId,
    AuthorizationInfo,
    Confirmation,
    PublicKey,
    UltraAuthorizationData,
    UltraAuthorizationId,
)
from drivers.nuki.protocol.wire import NAME_BYTES
from drivers.waiting import GONE, within

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream

    from drivers.base import Link, PairingRequest
    from drivers.nuki.protocol.wire import Message

M = TypeVar("M", bound="Message")

_HOLD = "Hold the lock's button for five seconds until its light comes on, then pair again."
_ADVICE: dict[int, str] = {
    ErrorCode.NOT_PAIRING: f"The lock is not in pairing mode. {_HOLD}",
    ErrorCode.BAD_AUTHENTICATOR: f"The lock did not accept the bridge's proof. {_HOLD}",
    ErrorCode.BAD_PAIRING_PARAMETER: f"The lock did not accept the pairing. {_HOLD}",
    ErrorCode.MAX_USERS: "The lock has too many users. Remove one in the Nuki app, then pair again.",
    ErrorCode.BAD_PIN: "The security PIN is wrong. Look it up in the Nuki app, then pair again.",
    ErrorCode.TOO_MANY_PIN_ATTEMPTS: "The lock takes no PIN for now, after too many wrong ones. Wait, then pair again.",
    ErrorCode.DISABLED: "Bluetooth pairing is switched off in the Nuki app. Switch it on, then pair again.",
}
_NO_PAIRING = (
    "The device offers no Nuki pairing. Check that it is a Nuki lock, and that Bluetooth pairing is not switched off "
    "in the Nuki app."
)
_NOT_AUTHENTIC = "The lock's answer was not authentic, so its key was not kept. Pair again, close to the lock."


async def pair(link: Link, request: PairingRequest) -> NukiCredential:
    """Pair with the lock at the other end of the link; which generation it is of, its characteristics tell.

    Raises:
        PairingError: with what to do next; `LinkLost`: the link is gone or the lock is mute.
    """
    ultra = link.has(Uuid.ULTRA_PAIRING.value)
    characteristic = Uuid.ULTRA_PAIRING if ultra else Uuid.PAIRING
    if not link.has(characteristic.value):
        raise PairingError(_NO_PAIRING)
    _check(request, ultra=ultra)
    async with link.subscribe(characteristic.value) as stream:
        handshake = _Handshake(link, characteristic.value, stream)
        try:
            return await (_pair_ultra(handshake, request) if ultra else _pair_classic(handshake, request))
        except ProtocolError as error:
            raise PairingError(f"The lock's answer could not be understood. {_HOLD}") from error


def _check(request: PairingRequest, *, ultra: bool) -> None:
    if len(request.name.encode()) > NAME_BYTES:
        raise PairingError(f"The bridge's name is longer than {NAME_BYTES} bytes. Choose a shorter one.")
    if ultra and request.pin is None:
        raise PairingError("This lock wants its six-digit security PIN. Pair again with the PIN.")
    if ultra and request.as_bridge:
        raise PairingError("This lock cannot be paired with as a bridge. Pair as an app.")
    if request.pin is not None and not 0 <= request.pin <= (UINT32 if ultra else WIDEST_PIN):
        raise PairingError("This is no security PIN of such a lock. Look it up in the Nuki app, then pair again.")


class _Handshake:
    """The frames of one pairing."""

    def __init__(self, link: Link, characteristic: str, stream: MemoryObjectReceiveStream[bytes]) -> None:
        self._link = link
        self._characteristic = characteristic
        self._stream = stream
        self.ours = KeyPair.generate()
        self.theirs = b""
        self.key: bytes = b""
        self._frames = Reassembler(take_first(take_plain(PAIRING_SIZES), take_sealed(lambda _: self.key or None)))
        self._waiting: deque[Frame] = deque()
        self._last = Frame(0, b"")

    async def agree(self) -> None:
        """Exchange public keys, agree on the shared key, prove that we have it (steps 1 to 5)."""
        lock = await self.ask(RequestData(Command.PUBLIC_KEY), PublicKey)
        self.theirs = lock.key
        self.key = shared_key(self.ours.private, self.theirs)
        first = await self.ask(PublicKey(self.ours.public), Challenge)
        await self.send(plain(Authenticator.sign(self.key, self.ours.public, self.theirs, first.nonce)))

    async def ask(self, message: Message, kind: type[M]) -> M:
        """Send a message in clear and return the reply."""
        await self.send(plain(message))
        return await self.expect(kind)

    async def send(self, frame: bytes) -> None:
        """Write a frame."""
        with within(STEP_TIMEOUT):
            await self._link.write(self._characteristic, frame)

    async def expect(self, kind: type[M]) -> M:
        """Return the next message of this kind in clear.

        Raises:
            PairingError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        with within(STEP_TIMEOUT):
            while True:
                frame = await self._frame()
                message = None if frame.auth_id is not None else decode(PAIRING_FROM_LOCK, frame.command, frame.payload)
                if isinstance(message, kind):
                    return message

    async def expect_sealed(self, command: Command) -> bytes:
        """Return the payload of the next encrypted frame with this command; raises as `expect` does."""
        with within(STEP_TIMEOUT):
            while True:
                frame = await self._frame()
                if frame.auth_id is not None and frame.command == command:
                    return frame.payload

    async def _frame(self) -> Frame:
        """Return the next frame, passing over a doubled one; no step is answered with the same frame as the last."""
        frame = self._last
        while frame == self._last:
            while not self._waiting:
                try:
                    self._waiting.extend(self._frames.feed(await self._stream.receive()))
                except GONE as error:
                    raise LinkLost from error
            frame = self._waiting.popleft()
        self._last = frame
        if frame.command == Command.ERROR_REPORT:
            raise _refused(ErrorReport.decode(frame.payload).code)
        return frame


async def _pair_classic(handshake: _Handshake, request: PairingRequest) -> NukiCredential:
    """Pair with a lock of the first four generations (steps 1 to 10)."""
    await handshake.agree()
    second = await handshake.expect(Challenge)
    nonce = challenge()
    kind = AuthorizationType.BRIDGE if request.as_bridge else AuthorizationType.APP
    introduction = AuthorizationData.sign(
        handshake.key, second.nonce, kind=kind, app_id=request.app_id, name=request.name, nonce=nonce
    )
    given = await handshake.ask(introduction, AuthorizationId)
    if not given.verify(handshake.key, nonce):
        raise PairingError(_NOT_AUTHENTIC)
    confirmation = Confirmation.sign(handshake.key, given.nonce, auth_id=given.auth_id)
    done = await handshake.ask(confirmation, Status)
    if done.code != StatusCode.COMPLETE:
        raise PairingError(f"The lock did not complete the pairing. {_HOLD}")
    return _credential(handshake, request, given.auth_id, given.uuid, ultra=False)


async def _pair_ultra(handshake: _Handshake, request: PairingRequest) -> NukiCredential:
    """Pair with an Ultra or a lock of the fifth generation: the PIN under the shared key is the proof."""
    await handshake.agree()
    await handshake.expect(AuthorizationInfo)
    introduction = UltraAuthorizationData(request.app_id, request.name, request.pin or 0)
    await handshake.send(sealed(introduction, handshake.key, ULTRA_PLACEHOLDER))
    given = UltraAuthorizationId.decode(await handshake.expect_sealed(Command.AUTHORIZATION_ID))
    return _credential(handshake, request, given.auth_id, given.uuid, ultra=True)


def _credential(
    handshake: _Handshake, request: PairingRequest, auth_id: int, uuid: bytes, *, ultra: bool
) -> NukiCredential:
    return NukiCredential(
        app_id=request.app_id,
        auth_id=auth_id,
        key=SecretStr(handshake.key.hex()),
        name=request.name,
        pin=None if request.pin is None else SecretStr(str(request.pin)),
        ultra=ultra,
        uuid=uuid.hex(),
    )


def _refused(code: int) -> PairingError:
    return PairingError(_ADVICE.get(code) or f"{refusal(code).message} {_HOLD}", vendor_code=code)
