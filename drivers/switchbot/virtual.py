"""A virtual SwitchBot lock: the wire skin over a `VirtualLock`.

Written from the protocol's description, with the codecs of `protocol` and nothing else of the driver. What a central
writes is answered within `write`; `run` carries the answers, so that they come after it.
"""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING

import anyio
import anyio.abc
from pydantic import SecretStr

from drivers.base import Action, Advertisement, DoorState, LockState
from drivers.switchbot.credential import SwitchBotCredential
from drivers.switchbot.protocol import commands
from drivers.switchbot.protocol.adverts import COMPANY, SERVICE, Advert
from drivers.switchbot.protocol.commands import NEWS_SECONDS, Turn
from drivers.switchbot.protocol.crypto import IV_BYTES, KEY_BYTES, Mode, cipher
from drivers.switchbot.protocol.errors import Status
from drivers.switchbot.protocol.frames import Uuid, asked_iv, commanded, grant, said
from drivers.switchbot.protocol.models import TRAITS, Model
from drivers.switchbot.protocol.report import Bolt, Report
from drivers.virtual.air import Air
from drivers.virtual.faults import Trouble
from drivers.virtual.lock import VirtualLock
from drivers.virtual.operation import Completion, Operator, Origin
from drivers.virtual.peripheral import AttError, Central, GattTable, Property, VirtualSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drivers.switchbot.protocol.crypto import Cipher

RSSI = -60
FIRMWARE = 66
"""In tenths."""
RECEIPT_BYTES = 5
"""Of what the lock says with the receipt of an action: the state at that moment, and three bytes of unknown meaning (a
capture of a Lock Pro, sblibs/pySwitchbot issue 353)."""
SEQUENCES = 255
"""How far the advertised count goes before it begins again with 1."""
ATT_READ_NOT_PERMITTED = 0x02
ATT_WRITE_NOT_PERMITTED = 0x03

_BOLTS: Mapping[LockState, Bolt] = MappingProxyType(
    {
        LockState.LOCKED: Bolt.LOCKED,
        LockState.UNLOCKED: Bolt.UNLOCKED,
        LockState.UNLATCHED: Bolt.UNLOCKED,
        LockState.LOCKING: Bolt.LOCKING,
        LockState.UNLOCKING: Bolt.UNLOCKING,
        LockState.UNLATCHING: Bolt.UNLOCKING,
        LockState.PARTIALLY_LOCKED: Bolt.HALF_LOCKED,
    }
)
_REFUSALS: Mapping[Completion, Status] = MappingProxyType(
    {Completion.BUSY: Status.BUSY, Completion.NOT_CALIBRATED: Status.ERROR}
)


class SwitchBotTwin:
    """A `drivers.virtual.peripheral.Twin` that speaks SwitchBot's protocol."""

    def __init__(
        self,
        address: str,
        name: str,
        settings: VirtualSettings,
        *,
        model: Model = Model.LOCK,
        mode: Mode = Mode.CTR,
        latch: bool = True,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Make a lock with a key of its own.

        Args:
            address: Bluetooth address, upper case with colons.
            name: unused; SwitchBot's locks advertise none.
            settings: how the motor, the bolt and the keypad begin.
            model: which lock it is.
            mode: how its firmware enciphers.
            latch: whether it is a European lock that is set to pull the latch when it unlocks.
            random: makes that many bytes of keys and IVs.
        """
        self.address = address
        self.name = name
        self.lock = VirtualLock(settings)
        self.model = model
        self.mode = mode
        self.latch = latch
        self.key_id = random(1)[0]
        self.key = random(KEY_BYTES)
        self.sequence = 1
        self.stale = False
        """Whether the advertisement stays as it is whatever happens."""
        self.from_secondary = False
        """Whether news come from the other of two locks on one door."""
        self.air = Air(self.lock)
        self.gatt: GattTable = {
            Uuid.SERVICE.value: {
                Uuid.WRITE.value: frozenset({Property.WRITE_WITHOUT_RESPONSE, Property.WRITE}),
                Uuid.NOTIFY.value: frozenset({Property.NOTIFY}),
            }
        }
        self._random = random
        self._cipher: Cipher | None = None
        self._listened_until = 0.0
        self._blocked = Bolt.LOCKING_BLOCKED
        self._told = self._report()
        self._advert = self._advertised()
        self.lock.watch(self._changed)

    def credential(self) -> SwitchBotCredential:
        """Return the key that opens the lock."""
        return SwitchBotCredential(
            key_id=f"{self.key_id:02x}",
            encryption_key=SecretStr(self.key.hex()),
            model=self.model,
            night_latch=self.latch or None,
        )

    def advertisement(self) -> Advertisement | None:
        """Return the whole state in clear; None while out of reach."""
        if not self.lock.reachable:
            return None
        if not self.stale:
            self._advert = self._advertised()
        return Advertisement(
            self.address,
            rssi=RSSI,
            manufacturer_data={COMPANY: self._advert.manufacturer_data()},
            service_data={SERVICE: self._advert.service_data()},
        )

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
        self._cipher = None
        self._listened_until = 0.0

    def disconnected(self, central: Central) -> None:
        """The connection ended, from whichever side."""
        self.air.disconnected(central)

    def read(self, characteristic: str) -> bytes:
        """Refuse: none of the characteristics is read.

        Raises:
            AttError: always.
        """
        del characteristic
        raise AttError(ATT_READ_NOT_PERMITTED)

    def write(self, characteristic: str, data: bytes) -> None:
        """Take a frame; the answer comes by notification.

        Raises:
            AttError: the characteristic takes none.
        """
        if characteristic != Uuid.WRITE:
            raise AttError(ATT_WRITE_NOT_PERMITTED)
        if self.air.central is None:
            return
        self.air.mute = False
        key_id = asked_iv(data)
        if key_id is not None:
            self._agree(key_id)
            return
        message = commanded(data, self.key_id, self._cipher) if self._cipher else None
        if message is None:
            self.air.indicate(Uuid.NOTIFY.value, bytes((Status.WRONG_KEY,)))
        else:
            self._serve(message)

    def _agree(self, key_id: int) -> None:
        if key_id != self.key_id:
            self.air.indicate(Uuid.NOTIFY.value, bytes((Status.WRONG_KEY,)))
            return
        iv = self._random(IV_BYTES[self.mode])
        self._cipher = cipher(self.mode, self.key, iv, checked=True)
        self.air.indicate(Uuid.NOTIFY.value, grant(self.mode, iv))

    def _serve(self, message: bytes) -> None:
        turn = commands.turn_of(self.model, message)
        if turn is not None:
            self._act(turn)
        elif message == commands.ask(self.model):
            self._answer(self._report().encode(self.model))
        elif message == commands.listen(self.model):
            self._listened_until = anyio.current_time() + NEWS_SECONDS
            self._answer()
        elif message == commands.SILENCE:
            self._listened_until = 0.0
            self._answer()
        elif message == commands.BASIC_INFO:
            self._answer(bytes((self.lock.battery_level, FIRMWARE)))
        else:
            self._answer(status=Status.UNSUPPORTED)

    def _act(self, turn: Turn) -> None:
        faults = self.lock.faults
        if faults.strikes(Trouble.DROP_BEFORE_WRITE):
            self.air.drop()
            return
        action = Action.LOCK if turn is Turn.LOCK else Action.UNLOCK
        if turn is Turn.UNLOCK_AND_UNLATCH and self.latch:
            action = Action.UNLATCH
        refusal = self.lock.operate(action, Operator(Origin.BLUETOOTH, self.key_id))
        if refusal is not None:
            self._answer(status=_REFUSALS[refusal])
            return
        if faults.strikes(Trouble.DROP_AFTER_WRITE):
            self.air.hang_up()
            return
        self._answer(self._report().encode(self.model)[:RECEIPT_BYTES].ljust(RECEIPT_BYTES, b"\0"))
        if faults.strikes(Trouble.DROP_AFTER_ACCEPTED):
            self.air.hang_up()
        self.air.mute = faults.strikes(Trouble.MUTE_AFTER_ACCEPTED)

    def _answer(self, data: bytes = b"", *, status: Status | None = None) -> None:
        """Answer the command that is being served: done, or with a refusal."""
        if status is None:
            status = Status.LOW_BATTERY if self.lock.battery_critical else Status.OK
        self._say(status, data)
        if self._cipher is not None:
            self._cipher.advance()

    def _say(self, status: Status, data: bytes) -> None:
        if self._cipher is not None:
            self.air.indicate(Uuid.NOTIFY.value, said(status, data, self.key_id, self._cipher))

    def _changed(self) -> None:
        if self.lock.state in (LockState.LOCKING, LockState.UNLOCKING, LockState.UNLATCHING):
            locking = self.lock.state is LockState.LOCKING
            self._blocked = Bolt.LOCKING_BLOCKED if locking else Bolt.UNLOCKING_BLOCKED
        report = self._report()
        if report == self._told:
            return
        self._told = report
        self.sequence = self.sequence % SEQUENCES + 1
        if self._listened_until and anyio.current_time() < self._listened_until:
            self._say(Status.PUSH, report.encode(self.model))

    def _report(self) -> Report:
        """Return the state as this model tells it; a motor that stopped on its way is blocked, for all it says."""
        bolt = _BOLTS.get(self.lock.state, self._blocked)
        if self.latch and self.lock.state is LockState.UNLOCKED:
            bolt = Bolt.LATCHED
        door_open = self.lock.door is DoorState.OPEN if TRAITS[self.model].tells_door else None
        return Report(bolt, self.lock.state is not LockState.UNCALIBRATED, door_open)

    def _advertised(self) -> Advert:
        return Advert(
            self.model,
            bytes.fromhex(self.address.replace(":", "")),
            self.sequence,
            self._told.bolt,
            self._told.calibrated,
            door_open=bool(self._told.door_open),
            battery=self.lock.battery_level,
            from_secondary=self.from_secondary,
        )
