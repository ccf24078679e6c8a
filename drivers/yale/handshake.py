"""Opening a session: the handshake on the secure channel, which proves each side's key to the other.

The host's random number and the lock's make the session's key (`yalexs_ble.lock.Lock._setup_session`). A lock that does
not know the key or its slot refuses the write, ends the link, or says what cannot be read.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import anyio

from drivers.base import AttRefused, DriverError, Fault, LinkLost
from drivers.waiting import GONE
from drivers.yale.patience import GOODBYE_TIMEOUT, RESPONSE_TIMEOUT
from drivers.yale.protocol.codes import Secure, Subject, Uuid
from drivers.yale.protocol.crypto import Block, Chain
from drivers.yale.protocol.errors import ProtocolError
from drivers.yale.protocol.frames import SecureFrame, seal, unseal
from drivers.yale.session import Channel, YaleSession

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream

    from drivers.base import Link
    from drivers.yale.credential import YaleCredential

HALF = 8
"""Bytes of random that one frame carries."""

CHARACTERISTICS = (Uuid.WRITE, Uuid.NOTIFY, Uuid.SECURE_WRITE, Uuid.SECURE_NOTIFY)

_WITHOUT_DOOR = ("ASL-01", "ASL-02")
_WITHOUT_BATTERY = ("SL-103", "CERES", "Yale Linus L2")
"""Models that do not tell of it (`yalexs_ble.const`); a model may carry a suffix."""

_WRONG_KEY = "The lock does not take the bridge's key. Bring its present key and slot."
_BROKEN_OFF = "The lock ended the connection in the handshake. If it always does, its key or its slot is another."
_MUTE = "The lock did not answer in the handshake. If it never does, its key or its slot is another."


async def open_session(link: Link, credential: YaleCredential) -> YaleSession:
    """Shake hands and subscribe to what the lock says.

    Raises:
        DriverError: the device is no Yale or August lock, or it does not take the key; `LinkLost`: the link is gone or
            the lock is mute.
    """
    if not all(link.has(each.value) for each in CHARACTERISTICS):
        raise DriverError(Fault.UNCATEGORIZED, "The device at this address is no Yale or August lock.")
    async with AsyncExitStack() as stack:
        stream = await stack.enter_async_context(link.subscribe(Uuid.SECURE_NOTIFY.value))
        secure = _SecureChannel(link, stream, credential.slot)
        key = await secure.shake_hands(credential.key_bytes())
        normal = await stack.enter_async_context(link.subscribe(Uuid.NOTIFY.value))
        tells = what_it_tells(await _model(link))
        kept = stack.pop_all()

    async def close() -> None:
        with suppress(DriverError):  # the link is gone, and the subscriptions with it
            await secure.say_goodbye(Block(key))
        with suppress(DriverError):
            await kept.aclose()

    return YaleSession(link, Channel(normal, Chain(Block(key)), Chain(Block(key)), close, tells))


def what_it_tells(model: str) -> frozenset[Subject]:
    """Return what a model tells besides its bolt; one that is not known is asked."""
    tells = {Subject.DOOR: _WITHOUT_DOOR, Subject.BATTERY: _WITHOUT_BATTERY}
    return frozenset(subject for subject, silent in tells.items() if not any(_is_of(model, each) for each in silent))


def _is_of(model: str, kind: str) -> bool:
    return model == kind or model.startswith((f"{kind}-", f"{kind} "))


async def _model(link: Link) -> str:
    if not link.has(Uuid.MODEL.value):
        return ""
    try:
        told = await link.read(Uuid.MODEL.value)
    except AttRefused:
        return ""
    return told.decode(errors="replace").split("\0")[0]


_NO_SUCH_THING = (0x01, 0x02, 0x03, 0x0A)
"""ATT errors (Bluetooth Core, vol 3 part F, 3.4.1.1) that a write to what is no longer there gets; they are no word on
the key. The next connection learns what there is."""


class _SecureChannel:
    """The channel of the handshake and of the goodbye."""

    def __init__(self, link: Link, stream: MemoryObjectReceiveStream[bytes], slot: int) -> None:
        self._link = link
        self._stream = stream
        self._slot = slot

    async def shake_hands(self, key: bytes) -> bytes:
        """Return the session's key.

        Raises:
            DriverError: the lock does not take the key; `LinkLost`: the link is gone or the lock is mute.
        """
        ours = os.urandom(2 * HALF)
        block = Block(key)
        theirs = await self._ask(block, SecureFrame(Secure.KEY_EXCHANGE, ours[:HALF], self._slot), Secure.KEY_EXCHANGED)
        session_key = ours[:HALF] + theirs.data
        block = Block(session_key)
        await self._ask(block, SecureFrame(Secure.INITIALIZE, ours[HALF:], self._slot), Secure.INITIALIZED)
        return session_key

    async def say_goodbye(self, block: Block) -> None:
        """Tell the lock, under the session's key, that the link will end.

        Raises:
            DriverError: it did not take that.
        """
        with anyio.move_on_after(GOODBYE_TIMEOUT):
            await self._ask(block, SecureFrame(Secure.DISCONNECT), Secure.DISCONNECTED)

    async def _ask(self, block: Block, asked: SecureFrame, answer: Secure) -> SecureFrame:
        unread = False
        with anyio.move_on_after(RESPONSE_TIMEOUT):
            await self._write(seal(block, asked.encode()))
            while True:
                try:
                    frame = SecureFrame.decode(unseal(block, await self._stream.receive()))
                except ProtocolError:
                    unread = True
                except GONE as error:
                    raise LinkLost(_BROKEN_OFF) from error
                else:
                    if frame.op == answer:
                        return frame
        if unread:
            raise DriverError(Fault.NOT_AUTHORIZED, _WRONG_KEY)
        raise LinkLost(_MUTE)

    async def _write(self, data: bytes) -> None:
        try:
            await self._link.write(Uuid.SECURE_WRITE.value, data)
        except AttRefused as error:
            if error.code in _NO_SUCH_THING:
                raise
            raise DriverError(Fault.NOT_AUTHORIZED, _WRONG_KEY) from error
