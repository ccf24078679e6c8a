"""The wire skin of a virtual Sesame: what the vendor's documents say a lock does with what it is sent.

Of the troubles of `drivers.virtual.faults`, a Sesame has no hours of access and no PIN, so `TIME_REFUSED` and
`PIN_LOCKED_OUT` never strike. `NONCE_REFUSED` strikes at the login, which is the one proof that it asks for.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from drivers.base import Action, Advertisement
from drivers.sesame.protocol.agreement import PUBLIC_BYTES, Agreement
from drivers.sesame.protocol.codes import COMPANY, NOTIFY, SERVICE, WRITE, Item, Result
from drivers.sesame.protocol.crypto import PROOF_BYTES, RANDOM_BYTES, SECRET_BYTES, Opener, Sealer, token
from drivers.sesame.protocol.errors import ProtocolError
from drivers.sesame.protocol.messages import Message, Publish, Response
from drivers.sesame.protocol.segments import Joiner, split
from drivers.sesame.virtual.report import history, mech_setting, mech_status
from drivers.virtual.air import Air
from drivers.virtual.faults import Trouble
from drivers.virtual.lock import VirtualLock
from drivers.virtual.operation import Completion, Operator, Origin
from drivers.virtual.peripheral import AttError, Central, GattTable, Property, VirtualSettings

if TYPE_CHECKING:
    from collections.abc import Callable

RSSI = -60
VERSION = b"3.0-5-virtual"
SESAME_5 = 5
ATT_READ_NOT_PERMITTED = 0x02
ATT_WRITE_NOT_PERMITTED = 0x03

_ACTIONS: dict[int, Action] = {Item.LOCK: Action.LOCK, Item.UNLOCK: Action.UNLOCK}
_REFUSALS = {Completion.BUSY: Result.BUSY, Completion.NOT_CALIBRATED: Result.INVALID_ACTION}


class SesameTwin:
    """A `drivers.virtual.peripheral.Greeting` twin that speaks Sesame OS3."""

    def __init__(
        self,
        address: str,
        name: str,
        settings: VirtualSettings,
        *,
        model: int = SESAME_5,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Make a lock that was reset.

        Args:
            address: Bluetooth address, upper case with colons.
            name: what its owner calls it; a Sesame does not say it on the air.
            settings: how the motor, the bolt and the keypad begin.
            model: product number.
            random: makes that many bytes.
        """
        self.address = address
        self.name = name
        self.lock = VirtualLock(settings)
        self.model = model
        self.secret: bytes | None = None
        """None until it is registered."""
        self._before_reset: bytes | None = None
        self.tells_settings = True
        """Whether it publishes its settings when they are changed."""
        self.gatt: GattTable = {
            SERVICE: {
                WRITE: frozenset({Property.WRITE_WITHOUT_RESPONSE, Property.WRITE}),
                NOTIFY: frozenset({Property.NOTIFY}),
            }
        }
        self.air = Air(self.lock)
        self._random = random
        self._uuid = random(16)
        self._told_until = 0
        self._joiner = Joiner()
        self._number = b""
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._said = b""
        self.lock.watch(self._changed)

    def register(self) -> bytes:
        """Register it as if a host had; return its secret."""
        self.secret = self._random(SECRET_BYTES)
        return self.secret

    @property
    def pairing_mode(self) -> bool:
        """Whether it was reset, so that whoever comes first registers it. Ended without that, it is as it was."""
        return self.secret is None

    @pairing_mode.setter
    def pairing_mode(self, on: bool) -> None:
        if on:
            self._before_reset, self.secret = self.secret or self._before_reset, None
        else:
            self.secret = self.secret or self._before_reset

    def advertisement(self) -> Advertisement | None:
        """Return what it advertises; None while out of reach."""
        if not self.lock.reachable:
            return None
        data = struct.pack("<HB", self.model, self.secret is not None) + self._uuid
        return Advertisement(self.address, None, RSSI, manufacturer_data={COMPANY: data}, service_uuids=(SERVICE,))

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Live: turn the motor, answer what was written. Ends only by cancellation."""
        async with anyio.create_task_group() as group:
            await group.start(self.lock.run)
            await group.start(self.air.run)
            task_status.started()

    def connected(self, central: Central) -> None:
        """A central connected.

        Raises:
            ConnectionRefusedError: the lock is out of range or held by another central.
        """
        self.air.connected(central)
        self._joiner = Joiner()
        self._number = self._random(RANDOM_BYTES)
        self._sealer = self._opener = None

    def subscribed(self, characteristic: str) -> None:
        """Greet a central that listens, with the random number of this connection."""
        if characteristic == NOTIFY:
            self._say(Publish(Item.INITIAL, self._number), sealed=False)

    def disconnected(self, central: Central) -> None:
        """The connection ended, from whichever side."""
        self.air.disconnected(central)

    def read(self, characteristic: str) -> bytes:
        """Refuse: nothing is read of a Sesame.

        Raises:
            AttError: always.
        """
        del characteristic
        raise AttError(ATT_READ_NOT_PERMITTED)

    def write(self, characteristic: str, data: bytes) -> None:
        """Take a segment; what is answered comes by notifications.

        Raises:
            AttError: the characteristic takes none.
        """
        if characteristic != WRITE:
            raise AttError(ATT_WRITE_NOT_PERMITTED)
        joined = self._joiner.feed(data) if self.air.central is not None else None
        if joined is None:
            return
        self.air.mute = False
        message, sealed = joined
        if sealed:
            opened = self._opener.open(message) if self._opener is not None else None
            if opened:
                self._serve(opened[0], opened[1:])
        elif message:
            self._greet(message[0], message[1:])

    def _greet(self, item: int, data: bytes) -> None:
        """Answer what may be asked in clear."""
        if item == Item.LOGIN:
            self._login(data)
        elif item == Item.REGISTRATION and self.secret is not None:
            self._say(Response(item, Result.INVALID_ACTION), sealed=False)
        elif item == Item.REGISTRATION:
            self._register(data)

    def _login(self, proof: bytes) -> None:
        key = None if self.secret is None else token(self.secret, self._number)
        if key is None or proof != key[:PROOF_BYTES] or self.lock.faults.strikes(Trouble.NONCE_REFUSED):
            self._say(Response(Item.LOGIN, Result.INVALID_SIGNATURE), sealed=False)
            self.air.hang_up()
            return
        self._say(Response(Item.LOGIN, Result.SUCCESS, self._time()), sealed=False)
        self._secure(key)
        self._say(Publish(Item.MECH_SETTING, mech_setting(self.lock).encode()))
        self._tell_status()

    def _register(self, data: bytes) -> None:
        ours = Agreement()
        try:
            secret = ours.secret(data[:PUBLIC_BYTES])
        except ProtocolError:
            self._say(Response(Item.REGISTRATION, Result.INVALID_PARAMETER), sealed=False)
            return
        self.secret = secret
        told = mech_status(self.lock).encode() + mech_setting(self.lock).encode() + ours.public
        self._say(Response(Item.REGISTRATION, Result.SUCCESS, told), sealed=False)
        self._secure(token(secret, self._number))

    def _secure(self, key: bytes) -> None:
        self._sealer, self._opener = Sealer(key, self._number), Opener(key, self._number)

    def _serve(self, item: int, data: bytes) -> None:
        """Answer what may be asked after the login."""
        match item:
            case Item.LOCK | Item.UNLOCK:
                self._act(item, data)
            case Item.VERSION:
                self._say(Response(item, Result.SUCCESS, VERSION))
            case Item.TIME:
                self._say(Response(item, Result.SUCCESS))
            case Item.AUTO_LOCK if len(data) >= 2:  # noqa: PLR2004 - seconds u16
                self._configure(int.from_bytes(data[:2], "little"))
            case Item.HISTORY:
                self._tell_history()
            case Item.HISTORY_DELETE if len(data) >= 4:  # noqa: PLR2004 - number u32
                self._told_until = int.from_bytes(data[:4], "little")
                self._say(Response(item, Result.SUCCESS))
            case _:
                self._say(Response(item, Result.NOT_SUPPORTED))

    def _act(self, item: int, data: bytes) -> None:
        faults = self.lock.faults
        if faults.strikes(Trouble.DROP_BEFORE_WRITE):
            self.air.drop()
            return
        tag = data[1 : 1 + data[0]] if data else b""
        refusal = self.lock.operate(_ACTIONS[item], Operator(Origin.BLUETOOTH), tag=tag)
        if faults.strikes(Trouble.DROP_AFTER_WRITE):
            self.air.hang_up()
            return
        self._say(Response(item, Result.SUCCESS if refusal is None else _REFUSALS[refusal]))
        if faults.strikes(Trouble.DROP_AFTER_ACCEPTED):
            self.air.hang_up()
        self.air.mute = faults.strikes(Trouble.MUTE_AFTER_ACCEPTED)

    def _configure(self, seconds: int) -> None:
        faults = self.lock.faults
        if faults.strikes(Trouble.DROP_BEFORE_WRITE):
            self.air.drop()
            return
        self.lock.configure_auto_lock(enabled=seconds > 0, delay=seconds or self.lock.auto_lock_delay)
        if faults.strikes(Trouble.DROP_AFTER_WRITE):
            self.air.drop()
            return
        self._say(Response(Item.AUTO_LOCK, Result.SUCCESS))
        if self.tells_settings:
            self._say(Publish(Item.MECH_SETTING, mech_setting(self.lock).encode()))

    def _tell_history(self) -> None:
        """Show the oldest entry, and leave it."""
        oldest = next((entry for number, entry in history(self.lock.log) if number > self._told_until), None)
        if oldest is None:
            self._say(Response(Item.HISTORY, Result.NOT_FOUND))
        else:
            self._say(Response(Item.HISTORY, Result.SUCCESS, oldest))

    def _changed(self) -> None:
        if self._sealer is not None and mech_status(self.lock).encode() != self._said:
            self._tell_status()

    def _tell_status(self) -> None:
        self._said = mech_status(self.lock).encode()
        self._say(Publish(Item.MECH_STATUS, self._said))

    def _say(self, message: Message, *, sealed: bool = True) -> None:
        """Send to the connected central. What is lost on the way is counted as said."""
        if self.air.central is None:
            return
        data = message.encode()
        if sealed:
            if self._sealer is None:
                return
            data = self._sealer.seal(data)
        for segment in split(data, sealed=sealed):
            self.air.indicate(NOTIFY, segment)

    def _time(self) -> bytes:
        return struct.pack("<I", int(self.lock.now().timestamp()))
