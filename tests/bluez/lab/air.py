"""The air between adapters and locks: who hears whom and how loudly, and what goes wrong on the way.

What goes wrong is a verb of the `Ether`, done at once or, through `at`, at the moment in which something passes:

    ether.leave(lock)                                           out of everyone's range, `come_back` ends it
    ether.at(Moment.WRITE, lock, partial(ether.leave, lock))    just as a write is on its way: it does not arrive
    ether.at(Moment.WRITTEN, lock, partial(ether.mute, lock))   it arrives; nothing more is answered, the link stands
    ether.signal(lock, -80, adapter)                            how loudly that adapter hears it; None for not at all

The link layer (Bluetooth Core 5.4, vol 6 part B): what is sent arrives in order, waits while the two do not hear each
other, and is lost with the connection, which each side gives up after the supervision time-out (4.5.2). A connection
that the other side never took up fails after six intervals (4.5.1).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from bumble import ll
from bumble.core import PhysicalTransport
from bumble.hci import HCI_ErrorCode
from bumble.link import LocalLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from bumble.controller import Connection
    from bumble.hci import Address

    from tests.bluez.lab.controller import HostController, LabController

LOUDNESS = -60
"""dBm at which everyone hears everyone, if nothing else is said."""

ATT = 4
"""The L2CAP channel of the attribute protocol."""


class Moment(StrEnum):
    """What passes on the air."""

    CONNECT = "connect"  # a central asks for a connection
    DISCOVERY = "discovery"  # it asks what the lock offers
    SUBSCRIBE = "subscribe"  # it asks for notifications, or for no more of them
    WRITE = "write"  # it writes a value
    WRITTEN = "written"  # the lock acknowledges a value
    NOTICE = "notice"  # the lock notifies or indicates
    DISCONNECT = "disconnect"  # the central ends the connection


_REQUESTS = {0x04: Moment.DISCOVERY, 0x08: Moment.DISCOVERY, 0x10: Moment.DISCOVERY, 0x52: Moment.WRITE}
_ANSWERS = {0x1B: Moment.NOTICE, 0x1D: Moment.NOTICE}
_WRITE_REQUEST, _WRITE_RESPONSE = 0x12, 0x13
_DESCRIPTOR_WRITE = 5
"""Bytes of a write request to a client characteristic configuration: opcode, handle, two bytes of value."""


@dataclass(slots=True)
class _Trap:
    moment: Moment
    lock: str
    do: Callable[[], None]
    passing: int


class Ether(LocalLink):
    """The air. Every controller on it is one of `controller`'s; locks and adapters are named by their address."""

    def __init__(self) -> None:
        super().__init__()
        self._loudness: dict[tuple[str, str], int | None] = {}
        self._gone: set[str] = set()
        self._mute: set[str] = set()
        self._traps: list[_Trap] = []
        self._contacts: list[Contact] = []

    def leave(self, lock: str) -> None:
        """Take a lock out of everyone's range."""
        self._gone.add(lock)
        self._look()

    def come_back(self, lock: str) -> None:
        """Bring a lock back in range; a connection whose time-out has not passed goes on."""
        self._gone.discard(lock)
        self._look()

    def mute(self, lock: str) -> None:
        """Let a lock answer nothing any more, though its radio keeps its connection alive."""
        self._mute.add(lock)

    def speak(self, lock: str) -> None:
        """Let a mute lock answer again what it is asked from now on."""
        self._mute.discard(lock)

    def signal(self, lock: str, dbm: int | None, adapter: str) -> None:
        """Say how loudly an adapter and a lock hear each other; None for not at all."""
        self._loudness[adapter, lock] = dbm
        self._look()

    def at(self, moment: Moment, lock: str, do: Callable[[], None], *, nth: int = 1) -> None:
        """Do something when the nth such thing from now on is on its way between a lock and a central."""
        self._traps.append(_Trap(moment, lock, do, nth))

    def heal(self, lock: str) -> None:
        """Undo all that was done to a lock, and all that was still to be done."""
        self._traps = [trap for trap in self._traps if trap.lock != lock]
        self._loudness = {pair: dbm for pair, dbm in self._loudness.items() if pair[1] != lock}
        self.speak(lock)
        self.come_back(lock)

    def armed(self, lock: str) -> bool:
        """Whether something is still to be done to a lock."""
        return any(trap.lock == lock for trap in self._traps)

    def loudness(self, adapter: str, lock: str) -> int | None:
        """Return at how many dBm the two hear each other; None if they do not."""
        return None if lock in self._gone else self._loudness.get((adapter, lock), LOUDNESS)

    def cut(self, controller: LabController) -> None:
        """Let a controller fall silent: it forgets its connections, and their other sides wait for it in vain."""
        for contact in self._contacts:
            if controller in (contact.central, contact.lock):
                contact.cut()

    def sever(self, connection: Connection) -> None:
        """Let the two sides of one connection not hear each other any more."""
        if contact := self._contact(connection.self_address, connection.peer_address):
            contact.cut()

    def terminate(self, connection: Connection, reason: int) -> None:
        """End a connection from the side that holds it."""
        if contact := self._contact(connection.self_address, connection.peer_address):
            if connection.controller is contact.central:
                self._pass(Moment.DISCONNECT, contact.lock_name)
            contact.terminate(connection.controller, reason)

    def send_advertising_pdu(self, sender_controller, packet) -> None:
        if isinstance(packet, ll.ConnectInd):
            self._connect(sender_controller, packet)
            return
        lock = name(sender_controller.public_address)
        for controller in self.controllers:
            dbm = self.loudness(name(controller.public_address), lock)
            if controller is not sender_controller and dbm is not None:
                asyncio.get_running_loop().call_soon(controller.hear, packet, dbm)

    def send_acl_data(self, sender_controller, destination_address, transport, data) -> None:
        connection = sender_controller.le_connections.get(destination_address)
        contact = connection and self._contact(connection.self_address, destination_address)
        if not contact:
            return
        if moment := contact.moment(sender_controller, data):
            self._pass(moment, contact.lock_name)
        if contact.lock_name not in self._mute:
            receive = contact.other(sender_controller).on_link_acl_data
            contact.carry(partial(receive, connection.self_address, PhysicalTransport.LE, data))

    def send_ll_control_pdu(self, sender_address, receiver_address, packet) -> None:
        if contact := self._contact(sender_address, receiver_address):
            sender = contact.central if sender_address == contact.request.initiator_address else contact.lock
            contact.carry(partial(contact.other(sender).on_ll_control_pdu, sender_address, packet))

    def _connect(self, central: HostController, request: ll.ConnectInd) -> None:
        lock = next((each for each in self.controllers if each.public_address == request.advertiser_address), None)
        contact = Contact(self, central, lock, request)
        self._contacts.append(contact)
        self._pass(Moment.CONNECT, contact.lock_name)
        asyncio.get_running_loop().call_soon(self._arrive, contact)

    def _arrive(self, contact: Contact) -> None:
        if contact.heard and contact.lock is not None and contact.lock.connectable:
            contact.lock.on_le_connect_ind(contact.request)
            contact.ends[contact.lock] = contact.lock.le_connections[contact.request.initiator_address]
        else:
            contact.fail()

    def _pass(self, moment: Moment, lock: str) -> None:
        for trap in [trap for trap in self._traps if (trap.moment, trap.lock) == (moment, lock)]:
            trap.passing -= 1
            if not trap.passing:
                self._traps.remove(trap)
                trap.do()

    def _contact(self, one: Address, other: Address) -> Contact | None:
        """Return the latest between two addresses: an earlier one may still be waiting for its time-out."""
        return next((contact for contact in reversed(self._contacts) if contact.between == {one, other}), None)

    def _look(self) -> None:
        for contact in list(self._contacts):
            contact.look()

    def ended(self, contact: Contact) -> None:
        """Forget a connection. For the contact itself."""
        self._contacts.remove(contact)


class Contact:
    """One connection as the air carries it."""

    def __init__(
        self, ether: Ether, central: HostController, lock: LabController | None, request: ll.ConnectInd
    ) -> None:
        self.central = central
        self.lock = lock
        self.request = request
        self.between = {request.initiator_address, request.advertiser_address}
        self.lock_name = name(request.advertiser_address)
        self.ends: dict[LabController, Connection] = {central: central.le_connections[request.advertiser_address]}
        """The connection as each side has it, once it has."""
        self._ether = ether
        self._open = True
        self._cut = False
        self._asked: Moment | None = None
        self._ending: set[LabController] = set()
        self._waiting: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def heard(self) -> bool:
        """Whether the two sides hear each other."""
        loudness = self._ether.loudness(name(self.central.public_address), self.lock_name)
        return self._open and not self._cut and loudness is not None

    def other(self, side: LabController) -> LabController:
        """Return the side that hears what this one sends."""
        return self.lock if side is self.central else self.central

    def carry(self, deliver: Callable[[], None]) -> None:
        """Deliver, now or when the two hear each other again."""
        if self.heard:
            asyncio.get_running_loop().call_soon(self._deliver, deliver)
        else:
            self._waiting.append(deliver)

    def moment(self, sender: LabController, data: bytes) -> Moment | None:
        """Tell what passes: an L2CAP packet from one of the sides."""
        if int.from_bytes(data[2:4], "little") != ATT:
            return None
        packet = data[4:]
        if sender is self.central:
            self._asked = _REQUESTS.get(packet[0])
            if packet[0] == _WRITE_REQUEST:
                self._asked = Moment.SUBSCRIBE if len(packet) == _DESCRIPTOR_WRITE else Moment.WRITE
            return self._asked
        if packet[0] == _WRITE_RESPONSE and self._asked is Moment.WRITE:
            return Moment.WRITTEN
        return _ANSWERS.get(packet[0])

    def cut(self) -> None:
        """Let the two never hear each other again over this connection."""
        self._cut = True
        self.look()

    def look(self) -> None:
        """Go on, or begin to wait for the other side."""
        loop = asyncio.get_running_loop()
        if not self._open:
            return
        if not self.heard and self._timer is None:
            self._timer = loop.call_later(self.request.timeout / 100, self._time_out)
        elif self.heard and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            waiting, self._waiting = self._waiting, []
            for deliver in waiting:
                self.carry(deliver)

    def terminate(self, by: LabController, reason: int) -> None:
        """End it once the other side has heard so, or at the time-out."""
        self._ending.add(by)
        self.carry(partial(self._terminated, by, reason))

    def fail(self) -> None:
        """End it as one that was never taken up."""
        asyncio.get_running_loop().call_later(6 * self.request.interval * 0.00125, self._failed)

    def _deliver(self, deliver: Callable[[], None]) -> None:
        if self._open:
            deliver()

    def _failed(self) -> None:
        self._end({self.central: HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR})

    def _terminated(self, by: LabController, reason: int) -> None:
        here = HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR
        self._end({by: here, self.other(by): reason})

    def _time_out(self) -> None:
        reasons = {
            True: HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR,
            False: HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR,
        }
        self._end({side: reasons[side in self._ending] for side in self.ends})

    def _end(self, reasons: dict[LabController, int]) -> None:
        if not self._open:
            return
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        self._ether.ended(self)
        for side, reason in reasons.items():
            if side in self.ends:
                side.lost(self.ends[side], reason)


def name(address: Address) -> str:
    """Return an address as it is written."""
    return str(address.to_string(False))
