"""A virtual Nuki lock: the wire skin over a `VirtualLock`.

Written from the protocol's description, with the codecs of `commands` and `frames` and nothing else of the driver.
What a central writes is answered within `write`; `run` carries the answers, so that they come after it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from drivers.base import Advertisement
from drivers.nuki.protocol.codes import AuthorizationType, Command, ErrorCode, StatusCode, Uuid
from drivers.nuki.protocol.commands import (
    FROM_HOST,
    AuthorizationCount,
    AuthorizationEntry,
    Challenge,
    ErrorReport,
    LockAction,
    LogCount,
    RemoveAuthorization,
    RequestAuthorizations,
    RequestConfig,
    RequestData,
    RequestLog,
    Status,
    VerifyPin,
    decode,
)
from drivers.nuki.protocol.config_commands import RequestAdvancedConfig, SetAdvancedConfig
from drivers.nuki.protocol.crypto import KEY_BYTES, NONCE_BYTES, KeyPair, shared_key
from drivers.nuki.protocol.errors import ProtocolError
from drivers.nuki.protocol.frames import plain, sealed, take_sealed
from drivers.nuki.virtual.keys import Authorization, Keyring
from drivers.nuki.virtual.pairing import PairingDesk
from drivers.nuki.virtual.report import ACTIONS, ERRORS, advanced_config, battery_report, config, log_entry, states
from drivers.virtual.air import Air
from drivers.virtual.faults import Trouble
from drivers.virtual.lock import VirtualLock
from drivers.virtual.operation import Completion, Operator, Origin
from drivers.virtual.peripheral import AttError, Central, GattTable, Property, VirtualSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.nuki.protocol.commands import KeyturnerStates
    from drivers.nuki.protocol.wire import Message, Pin

APPLE = 76
BEACON_HEAD = bytes((0x02, 0x15))
TX_POWER = 0xC4
"""The iBeacon's last byte; its lowest bit says that the state changed ("Advertising")."""
RSSI = -60
ATT_READ_NOT_PERMITTED = 0x02
ATT_WRITE_NOT_PERMITTED = 0x03
PIN_ATTEMPTS = 3
"""Wrong security PINs after which the lock takes none."""

_WRITE_INDICATE = frozenset({Property.WRITE, Property.INDICATE})


class Refused(Exception):
    """The lock answers with an Error Report."""

    def __init__(self, code: ErrorCode) -> None:
        """Refuse with the report's code."""
        super().__init__(code.name)
        self.code = code


class NukiTwin:
    """A `drivers.virtual.peripheral.Twin` that speaks Nuki's protocol."""

    def __init__(
        self,
        address: str,
        name: str,
        settings: VirtualSettings,
        *,
        ultra: bool = False,
        pin: int = 0,
        fragment: int | None = 20,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Make a lock that nobody is paired with.

        Args:
            address: Bluetooth address, upper case with colons.
            name: the lock's own name, at most 32 bytes of UTF-8.
            settings: how the motor, the bolt and the keypad begin.
            ultra: pair, and take PINs, as the Ultra and the fifth generation do.
            pin: the security PIN; 0 if none is set.
            fragment: the longest indication in bytes; None for what the MTU allows.
            random: makes that many bytes of keys and nonces.
        """
        self.address = address
        self.name = name
        self.lock = VirtualLock(settings)
        self.nuki_id = int(address.replace(":", "")[-8:], 16)
        self.pin = pin
        self.wrong_pins = 0
        self.logging = True
        self.changed = False
        """The beacon's bit: whether something changed since a bridge last read the states."""
        self.keyring = Keyring(random)
        self._ultra = ultra
        self._pairing = Uuid.ULTRA_PAIRING if ultra else Uuid.PAIRING
        self._pairing_service = Uuid.ULTRA_PAIRING_SERVICE if ultra else Uuid.PAIRING_SERVICE
        self.desk = PairingDesk(self.keyring, pin=(lambda: self.pin) if ultra else None)
        self.air = Air(self.lock, fragment=fragment)
        self.gatt: GattTable = {
            self._pairing_service.value: {self._pairing.value: _WRITE_INDICATE},
            Uuid.KEYTURNER_SERVICE.value: {
                Uuid.GDIO.value: _WRITE_INDICATE,
                Uuid.USDIO.value: _WRITE_INDICATE,
            },
        }
        self._take = take_sealed(self.keyring.key_of)
        self._user: Authorization | None = None
        self._told = self._news()
        self.lock.watch(self._changed)

    @property
    def pairing_mode(self) -> bool:
        """Whether someone held the lock's button for long enough; one pairing ends it."""
        return self.desk.open

    @pairing_mode.setter
    def pairing_mode(self, on: bool) -> None:
        self.desk.open = on
        self._changed()

    def authorize(
        self, name: str, kind: AuthorizationType = AuthorizationType.APP, *, app_id: int = 1
    ) -> tuple[Authorization, KeyPair]:
        """Give an authorization as if a host had paired; return it with the host's key pair."""
        host = KeyPair.from_private(self.keyring.random(KEY_BYTES))
        key = shared_key(host.private, self.keyring.identity.public)
        user = self.keyring.create(key, name, kind, app_id)
        self.keyring.store(user)
        return user, host

    def advertisement(self) -> Advertisement | None:
        """Return the iBeacon, or what announces the pairing mode; None while out of reach."""
        if not self.lock.reachable:
            return None
        name = f"Nuki_{self.nuki_id:08X}"
        number = self.nuki_id.to_bytes(4, "big")
        if self.desk.open:
            service = self._pairing_service.value
            return Advertisement(self.address, name, RSSI, service_data={service: number})
        beacon = BEACON_HEAD + bytes.fromhex(Uuid.KEYTURNER_SERVICE.replace("-", "")) + number
        return Advertisement(
            self.address, name, RSSI, manufacturer_data={APPLE: beacon + bytes([TX_POWER | self.changed])}
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
        self._user = None
        self.desk.reset()

    def disconnected(self, central: Central) -> None:
        """The connection ended, from whichever side."""
        self.air.disconnected(central)

    def read(self, characteristic: str) -> bytes:
        """Refuse: none of a Nuki's characteristics is read.

        Raises:
            AttError: always.
        """
        del characteristic
        raise AttError(ATT_READ_NOT_PERMITTED)

    def write(self, characteristic: str, data: bytes) -> None:
        """Take a whole frame; the answer comes by indication.

        Raises:
            AttError: the characteristic takes none.
        """
        if self.air.central is None:
            return
        self.air.mute = False
        if characteristic == self._pairing:
            self.air.indicate(characteristic, self.desk.answer(data))
        elif characteristic == Uuid.USDIO:
            self._serve(data)
        else:
            raise AttError(ATT_WRITE_NOT_PERMITTED)

    def _serve(self, data: bytes) -> None:
        taken = self._take(data)
        user = self.keyring.users.get(taken[0].auth_id or 0) if taken else None
        if taken is None or user is None:
            # There is no key to seal this answer with.
            self.air.indicate(Uuid.USDIO, plain(ErrorReport(ErrorCode.NOT_AUTHORIZED, Command.REQUEST_DATA)))
            return
        self._user = user
        frame, _ = taken
        try:
            self._answer(user, decode(FROM_HOST, frame.command, frame.payload))
        except Refused as refusal:
            self._say(ErrorReport(refusal.code, frame.command))
        except ProtocolError:
            self._say(ErrorReport(ErrorCode.BAD_LENGTH, frame.command))

    def _answer(self, user: Authorization, message: Message | None) -> None:
        if not user.enabled:
            raise Refused(ErrorCode.DISABLED)
        match message:
            case RequestData():
                self._tell(user, message.wanted)
            case LockAction():
                self._act(user, message)
            case RequestConfig() | RequestAdvancedConfig():
                self._redeem(user, message.nonce)
                asked = isinstance(message, RequestConfig)
                self._say(config(self.lock, self.nuki_id, self.name) if asked else advanced_config(self.lock))
            case SetAdvancedConfig():
                self._admit(user, message.nonce, message.pin)
                self._configure(message)
            case VerifyPin():
                self._admit(user, message.nonce, message.pin)
                self._say(Status(StatusCode.COMPLETE))
            case RequestLog():
                self._admit(user, message.nonce, message.pin)
                self._tell_log(message)
            case RemoveAuthorization():
                self._admit(user, message.nonce, message.pin)
                self._say(Status(StatusCode.COMPLETE))
                self.keyring.remove(message.auth_id)
            case RequestAuthorizations():
                self._admit(user, message.nonce, message.pin)
                self._tell_users(user, message)
            case _:
                raise Refused(ErrorCode.UNKNOWN)

    def _tell(self, user: Authorization, wanted: int) -> None:
        if wanted == Command.CHALLENGE:
            self._say(Challenge(self.keyring.challenge(user)))
        elif wanted == Command.KEYTURNER_STATES:
            if user.kind == AuthorizationType.BRIDGE:
                self.changed = False
            self._say(states(self.lock, pairing=self.desk.open))
        elif wanted == Command.BATTERY_REPORT:
            self._say(battery_report(self.lock))
        else:
            raise Refused(ErrorCode.BAD_PARAMETER)

    def _configure(self, message: SetAdvancedConfig) -> None:
        """Take the auto lock of a new configuration, which is all of it that this lock follows."""
        faults = self.lock.faults
        if faults.strikes(Trouble.DROP_BEFORE_WRITE):
            self.air.drop()
            return
        advanced = message.advanced
        self.lock.configure_auto_lock(enabled=bool(advanced.auto_lock_enabled), delay=advanced.auto_lock_timeout)
        if faults.strikes(Trouble.DROP_AFTER_WRITE):
            self.air.drop()
            return
        self._say(Status(StatusCode.COMPLETE))

    def _act(self, user: Authorization, message: LockAction) -> None:
        faults = self.lock.faults
        if faults.strikes(Trouble.DROP_BEFORE_WRITE):
            self.air.drop()
            return
        self._redeem(user, message.nonce)
        action = ACTIONS.get(message.action)
        if action is None:
            raise Refused(ErrorCode.BAD_PARAMETER)
        if faults.strikes(Trouble.TIME_REFUSED):
            raise Refused(ErrorCode.TIME_NOT_ALLOWED)
        by = Operator(Origin.BLUETOOTH, user.auth_id, user.name)
        central = self.air.central
        refusal = self.lock.operate(action, by, tag=message.suffix, finished=lambda end: self._finished(central, end))
        if refusal is not None:
            raise Refused(ERRORS[refusal])
        self._accept()

    def _accept(self) -> None:
        """Say that the action is accepted, unless something comes between."""
        faults = self.lock.faults
        if faults.strikes(Trouble.DROP_AFTER_WRITE):
            self.air.hang_up()
            return
        self._say(Status(StatusCode.ACCEPTED))
        if faults.strikes(Trouble.DROP_AFTER_ACCEPTED):
            self.air.hang_up()
        self.air.mute = faults.strikes(Trouble.MUTE_AFTER_ACCEPTED)

    def _finished(self, central: Central | None, end: Completion) -> None:
        if central is not self.air.central:
            return
        error = ERRORS.get(end)
        self._say(Status(StatusCode.COMPLETE) if error is None else ErrorReport(error, Command.LOCK_ACTION))

    def _tell_log(self, message: RequestLog) -> None:
        kept = list(self.lock.log) if self.logging else []
        if message.total:
            self._say(LogCount(self.logging, len(kept), door_sensor=True, door_log=True))
        if message.newest_first:
            kept.reverse()
        if message.start:
            kept = [entry for entry in kept if (entry.index < message.start) is message.newest_first]
            kept = [entry for entry in kept if entry.index != message.start]
        for operation in kept[: message.count]:
            self._say(log_entry(operation, self.keyring.fob.auth_id))
        self._say(Status(StatusCode.COMPLETE))

    def _tell_users(self, asking: Authorization, message: RequestAuthorizations) -> None:
        users = [asking, *(user for user in self.keyring.users.values() if user is not asking)]
        self._say(AuthorizationCount(len(users)))
        for user in users[message.offset : message.offset + message.count]:
            self._say(AuthorizationEntry(user.auth_id, user.kind, user.name, user.enabled))
        self._say(Status(StatusCode.COMPLETE))

    def _admit(self, user: Authorization, nonce: bytes, pin: Pin) -> None:
        self._redeem(user, nonce)
        if self.wrong_pins >= PIN_ATTEMPTS or self.lock.faults.strikes(Trouble.PIN_LOCKED_OUT):
            raise Refused(ErrorCode.TOO_MANY_PIN_ATTEMPTS)
        if pin.wide is not self._ultra:
            raise Refused(ErrorCode.BAD_LENGTH)
        if pin.value != self.pin:
            self.wrong_pins += 1
            raise Refused(ErrorCode.BAD_PIN)
        self.wrong_pins = 0

    def _redeem(self, user: Authorization, nonce: bytes) -> None:
        refused = self.lock.faults.strikes(Trouble.NONCE_REFUSED)
        if not self.keyring.redeem(user, nonce) or refused:
            raise Refused(ErrorCode.BAD_NONCE)

    def _say(self, message: Message) -> None:
        """Send to the connected central, under the authorization that it spoke with last."""
        if self._user is not None:
            user = self._user
            frame = sealed(message, user.key, user.auth_id, self.keyring.random(NONCE_BYTES))
            self.air.indicate(Uuid.USDIO, frame)

    def _changed(self) -> None:
        news = self._news()
        if news != self._told:
            self._told = news
            self.changed = True
            self._say(states(self.lock, pairing=self.desk.open))

    def _news(self) -> tuple[KeyturnerStates, int]:
        """Return what makes a bridge look again: the states, and how far the log has come."""
        undated = replace(states(self.lock, pairing=self.desk.open), at=None)
        return undated, self.lock.log[-1].index if self.lock.log else 0
