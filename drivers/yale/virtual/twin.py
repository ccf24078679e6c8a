"""A virtual lock in Yale's terms: its GATT service, its handshake, its two channels and their answers.

Troubles strike as `drivers.virtual.faults` says. Their occasions here: an operation that is asked for (`BUSY`,
`DROP_BEFORE_WRITE`, `TIME_REFUSED`), what answers it (`DROP_AFTER_WRITE`, `DROP_AFTER_ACCEPTED`,
`MUTE_AFTER_ACCEPTED`), and each notification.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from drivers.base import Advertisement
from drivers.virtual.air import Air
from drivers.virtual.faults import Trouble
from drivers.virtual.lock import VirtualLock
from drivers.virtual.operation import Completion, Operator, Origin
from drivers.virtual.peripheral import AttError, Central, GattTable, Property, VirtualSettings
from drivers.yale.patience import REST
from drivers.yale.protocol.activity import Activity
from drivers.yale.protocol.codes import Flag, Op, Record, Result, Secure, Setting, Subject, Uuid
from drivers.yale.protocol.crypto import Block, Chain
from drivers.yale.protocol.errors import ProtocolError
from drivers.yale.protocol.frames import PAYLOAD_AT, Frame, SecureFrame, Timers, is_auto_lock, seal, unseal
from drivers.yale.virtual.report import ACTIONS, RESULTS, acknowledgement, activity, result, status

if TYPE_CHECKING:
    from collections.abc import Callable

COMPANY = 465
RSSI = -60
HALF = 8
IDLE = 30.0
"""Seconds without a request after which the lock ends the link."""
ATT_READ_NOT_PERMITTED = 0x02
ATT_WRITE_NOT_PERMITTED = 0x03
ATT_UNLIKELY = 0x0E
"""What a lock says of a key or a slot that it does not know."""

_WRITE = frozenset({Property.WRITE})
_NOTIFY = frozenset({Property.NOTIFY})


class YaleTwin:
    """A `drivers.virtual.peripheral.Twin` that speaks Yale's protocol.

    Attributes:
        keys: the offline keys by their slots.
        hurried: how many requests came sooner after what the lock said last than real locks stand.
        model: what it says it is.
        silent: subjects of which this model tells nothing.
    """

    def __init__(
        self,
        address: str,
        name: str,
        settings: VirtualSettings,
        *,
        model: str = "ASL-03",
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Make a lock that nobody has a key to.

        Args:
            address: Bluetooth address, upper case with colons.
            name: its name on the air, of which real ones have seven characters.
            settings: how the motor, the bolt and the keypad begin.
            model: what it says it is.
            random: makes that many bytes.
        """
        self.address = address
        self.name = name
        self.model = model
        self.lock = VirtualLock(settings)
        self.keys: dict[int, bytes] = {}
        self.hurried = 0
        self.silent: frozenset[int] = frozenset()
        self.at_once = False
        """Whether the auto lock waits only for the door to shut."""
        self.toggle = 0
        self.air = Air(self.lock)
        self.gatt: GattTable = {
            Uuid.INFORMATION.value: {Uuid.MODEL.value: frozenset({Property.READ})},
            Uuid.SERVICE.value: {
                Uuid.WRITE.value: _WRITE,
                Uuid.NOTIFY.value: _NOTIFY,
                Uuid.SECURE_WRITE.value: _WRITE,
                Uuid.SECURE_NOTIFY.value: _NOTIFY,
            },
        }
        self._random = random
        self._session_key = b""
        self._secure: Block | None = None
        self._chains: tuple[Chain, Chain] | None = None
        self._slot = 0
        self._taken = 0
        self._said_at = -REST
        self._used_at = 0.0
        self._stir = anyio.Event()
        self._told = self._news()
        self.lock.watch(self._changed)

    def advertisement(self) -> Advertisement | None:
        """Return the byte that is another after each change; None while out of reach."""
        if not self.lock.reachable:
            return None
        return Advertisement(
            self.address,
            self.name,
            RSSI,
            manufacturer_data={COMPANY: bytes([self.toggle])},
            service_uuids=(Uuid.SERVICE.value,),
        )

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Live: turn the motor, answer what was written, end idle links. Ends only by cancellation."""
        async with anyio.create_task_group() as group:
            await group.start(self.lock.run)
            await group.start(self.air.run)
            task_status.started()
            while True:
                await self._end_idle_link()

    async def _end_idle_link(self) -> None:
        if self.air.central is None:
            self._stir = anyio.Event()
            await self._stir.wait()
        await anyio.sleep_until(self._used_at + IDLE)
        if self.air.central is not None and anyio.current_time() >= self._used_at + IDLE:
            self.air.drop()

    def connected(self, central: Central) -> None:
        """A central connected.

        Raises:
            ConnectionRefusedError: the lock is out of range or held by another central.
        """
        self.air.connected(central)
        self._secure = self._chains = None
        self._used_at = anyio.current_time()
        self._stir.set()

    def disconnected(self, central: Central) -> None:
        """The connection ended, from whichever side."""
        self.air.disconnected(central)

    def read(self, characteristic: str) -> bytes:
        """Tell the model.

        Raises:
            AttError: nothing else is read.
        """
        if characteristic != Uuid.MODEL:
            raise AttError(ATT_READ_NOT_PERMITTED)
        return self.model.encode()

    def write(self, characteristic: str, data: bytes) -> None:
        """Take a frame; the answer comes by notification.

        Raises:
            AttError: the characteristic takes none, or the key or its slot is not known.
        """
        if self.air.central is None:
            return
        self.air.mute = False
        self._used_at = anyio.current_time()
        if characteristic == Uuid.SECURE_WRITE:
            self._shake_hands(data)
        elif characteristic == Uuid.WRITE:
            self._serve(data)
        else:
            raise AttError(ATT_WRITE_NOT_PERMITTED)

    def _shake_hands(self, data: bytes) -> None:
        try:
            self._answer_securely(data)
        except (ProtocolError, KeyError) as error:
            raise AttError(ATT_UNLIKELY) from error

    def _answer_securely(self, data: bytes) -> None:
        if self._secure is not None:
            frame = SecureFrame.decode(unseal(self._secure, data))
            if frame.op == Secure.INITIALIZE:
                self._chains = Chain(Block(self._session_key)), Chain(Block(self._session_key))
                self._say_securely(self._secure, Secure.INITIALIZED)
            elif frame.op == Secure.DISCONNECT:
                self._say_securely(self._secure, Secure.DISCONNECTED)
            return
        if not data:
            raise ProtocolError("nothing was written")
        block = Block(self.keys[data[-1]])
        frame = SecureFrame.decode(unseal(block, data))
        if frame.op == Secure.KEY_EXCHANGE:
            self._slot = frame.slot
            ours = self._random(HALF)
            self._session_key = frame.data + ours
            self._secure = Block(self._session_key)
            self._say_securely(block, Secure.KEY_EXCHANGED, ours)

    def _say_securely(self, block: Block, op: Secure, data: bytes = bytes(HALF)) -> None:
        self.air.indicate(Uuid.SECURE_NOTIFY, seal(block, SecureFrame(op, data, self._slot).encode()))

    def _serve(self, data: bytes) -> None:
        if self._chains is None:
            raise AttError(ATT_UNLIKELY)
        self.hurried += anyio.current_time() < self._said_at + REST
        try:
            frame = Frame.decode(unseal(self._chains[0], data))
        except ProtocolError:
            return  # a lock that cannot read what it is told says nothing
        if frame.flag == Flag.REQUEST:
            self._answer(frame)

    def _answer(self, frame: Frame) -> None:
        if frame.op == Op.STATUS:
            told = None if frame.about in self.silent else status(self.lock, frame.about)
            if told is not None:
                self._say(told)
        elif frame.op in (Op.LOCK, Op.UNLOCK):
            self._operate(frame)
        elif frame.op in (Op.READ_SETTING, Op.WRITE_SETTING) and is_auto_lock(frame):
            self._set(frame)
        elif frame.op == Op.ACTIVITY:
            self._say(self._next_activity().encode())

    def _operate(self, frame: Frame) -> None:
        faults = self.lock.faults
        if faults.strikes(Trouble.DROP_BEFORE_WRITE):
            self.air.drop()
            return
        action = ACTIONS.get((frame.op, frame.about))
        if action is None:
            self._refuse(frame, Result.INVALID_OPERATION)
        elif faults.strikes(Trouble.TIME_REFUSED):
            self._refuse(frame, Result.NOT_AUTHORIZED)
        else:
            central = self.air.central
            by = Operator(Origin.BLUETOOTH, self._slot)
            refusal = self.lock.operate(action, by, finished=lambda end: self._finished(central, frame.op, end))
            if refusal is None:
                self._accept(frame)
            else:
                self._refuse(frame, RESULTS[refusal])

    def _accept(self, frame: Frame) -> None:
        """Acknowledge an operation, unless something comes between."""
        faults = self.lock.faults
        if faults.strikes(Trouble.DROP_AFTER_WRITE):
            self.air.hang_up()
            return
        self._say(acknowledgement(frame))
        if faults.strikes(Trouble.DROP_AFTER_ACCEPTED):
            self.air.hang_up()
        self.air.mute = faults.strikes(Trouble.MUTE_AFTER_ACCEPTED)

    def _refuse(self, frame: Frame, code: Result) -> None:
        self._say(acknowledgement(frame))
        self._say(result(frame.op, code))

    def _finished(self, central: Central | None, op: int, end: Completion) -> None:
        if central is self.air.central:
            self._say(result(op, RESULTS[end]))

    def _set(self, frame: Frame) -> None:
        if Setting.AUTO_LOCK in self.silent:
            self._say(acknowledgement(frame))
            return
        faults = self.lock.faults
        if frame.op == Op.WRITE_SETTING:
            if faults.strikes(Trouble.DROP_BEFORE_WRITE):
                self.air.drop()
                return
            self._set_timers(Timers.decode(frame))
            if faults.strikes(Trouble.DROP_AFTER_WRITE):
                self.air.hang_up()
                return
        self._say(acknowledgement(frame))
        told = {PAYLOAD_AT: bytes([Setting.AUTO_LOCK]), **self.timers.encode()}
        self._say(Frame.of(Flag.RESULT, frame.op, told))

    @property
    def timers(self) -> Timers:
        """The auto lock's setting."""
        if self.lock.auto_lock is None:
            return Timers()
        delay = self.lock.auto_lock_delay
        return Timers(delay, 0 if self.at_once else delay)

    def _set_timers(self, timers: Timers) -> None:
        self.at_once = not timers.door_shut
        delay = timers.never_opened or timers.door_shut
        self.lock.configure_auto_lock(enabled=bool(delay), delay=delay or self.lock.auto_lock_delay)

    def _next_activity(self) -> Activity:
        """Hand out the oldest record, which is forgotten."""
        for operation in self.lock.log:
            if operation.index > self._taken:
                self._taken = operation.index
                if (record := activity(operation)) is not None:
                    return record
        return Activity(Record.END)

    def _say(self, frame: Frame) -> None:
        """Send to the connected central, if it has shaken hands."""
        if self._chains is None or self.air.central is None or self.air.mute:
            return
        self._said_at = anyio.current_time()
        self.air.indicate(Uuid.NOTIFY, seal(self._chains[1], frame.encode()))

    def _changed(self) -> None:
        before, self._told = self._told, self._news()
        if before == self._told:
            return
        self.toggle ^= 1
        for subject, old, new in zip((Subject.LOCK, Subject.DOOR), before, self._told, strict=True):
            told = status(self.lock, subject)
            if old != new and subject not in self.silent and told is not None:
                self._say(told)

    def _news(self) -> tuple[object, object]:
        """Return what is told unasked: bolt and door."""
        return self.lock.state, self.lock.door
