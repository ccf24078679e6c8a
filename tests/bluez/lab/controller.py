"""Virtual controllers on a virtual air, where Bumble's own are not faithful enough for the Linux kernel."""

from __future__ import annotations

import asyncio

from bumble import hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser

from tests.bluez.lab.air import Ether, name

SLOTS = 7
"""Connections that an adapter holds at once, as a Raspberry Pi's does."""

_FILTERED = (1, 3)
"""Scanning filter policies under which only what is on the filter accept list is reported (7.8.10)."""


class LabController(Controller):
    """What adapters and locks have in common: a connection ends when, and for the reason that, the air says.

    LL privacy and extended advertising are off: the events that the kernel expects with them are not there.
    """

    link: Ether

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.le_features &= ~(hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING)

    @property
    def connectable(self) -> bool:
        """Whether a central that asks now gets a connection."""
        return False

    def hear(self, packet: ll.AdvertisingPdu, dbm: int) -> None:
        """Take an advertisement."""

    def lost(self, connection: Connection, reason: int) -> None:
        """Take the end of a connection, unless it is forgotten."""
        if self.le_connections.get(connection.peer_address) is connection:
            self.on_le_disconnected(connection, reason)

    def silence(self) -> None:
        """Forget everything, as at a loss of power; whoever is connected waits in vain."""
        self.link.cut(self)
        self.le_connections.clear()
        self.le_legacy_advertiser.stop()
        self.pending_le_connection = None
        self.le_scan_enable = False

    def on_hci_reset_command(self, command):
        """Bluetooth Core 5.4, vol 4 part E, 7.3.2."""
        self.silence()
        return super().on_hci_reset_command(command)

    def on_hci_disconnect_command(self, command) -> None:
        """7.1.6: the side that ends it is told that it did, once the other side knows."""
        connection = self.find_le_connection_by_handle(command.connection_handle)
        if connection is None:
            self._send_hci_command_status(hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, command.op_code)
            return
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        self.link.terminate(connection, command.reason)


class HostController(LabController):
    """An adapter: what the kernel drives."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.slots = SLOTS
        self._accepted: set[str] = set()

    def hear(self, packet: ll.AdvertisingPdu, dbm: int) -> None:
        """Report an advertisement while scanning, and connect to the advertiser if that is wanted."""
        kind = hci.HCI_LE_Advertising_Report_Event.EventType
        connectable = isinstance(packet, ll.AdvInd)
        filtered = self.le_scanning_filter_policy in _FILTERED
        if self.le_scan_enable and not (filtered and name(packet.advertiser_address) not in self._accepted):
            self._report(kind.ADV_IND if connectable else kind.ADV_NONCONN_IND, packet, packet.data, dbm)
            if connectable and self.le_scan_type:  # the kernel waits for the answer to its active scan
                self._report(kind.SCAN_RSP, packet, b"", dbm)
        pending = self.pending_le_connection
        if connectable and pending and pending.peer_address == packet.advertiser_address:
            self.create_le_connection(packet.advertiser_address)

    def _report(self, kind: int, packet: ll.AdvertisingPdu, data: bytes, dbm: int) -> None:
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=kind,
            address_type=packet.advertiser_address.address_type,
            address=packet.advertiser_address,
            data=data,
            rssi=dbm,
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def on_hci_le_create_connection_command(self, command) -> None:
        """7.8.12: an adapter has so many slots, and is told when they are all in use."""
        if len(self.le_connections) >= self.slots:
            self._send_hci_command_status(hci.HCI_ErrorCode.CONNECTION_LIMIT_EXCEEDED_ERROR, command.op_code)
            return
        super().on_hci_le_create_connection_command(command)

    def on_hci_le_create_connection_cancel_command(self, _command):
        """7.8.13: the attempt ends with 'unknown connection identifier', for which the kernel waits."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        event = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address_type,
            peer_address=pending.peer_address,
            connection_interval=pending.connection_interval_min,
            peripheral_latency=pending.max_latency,
            supervision_timeout=pending.supervision_timeout,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, event)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_le_clear_filter_accept_list_command(self, command):
        """7.8.15."""
        self._accepted.clear()
        return super().on_hci_le_clear_filter_accept_list_command(command)

    def on_hci_le_add_device_to_filter_accept_list_command(self, command):
        """7.8.16."""
        self._accepted.add(name(command.address))
        return super().on_hci_le_add_device_to_filter_accept_list_command(command)

    def on_hci_le_remove_device_from_filter_accept_list_command(self, command):
        """7.8.17."""
        self._accepted.discard(name(command.address))
        return super().on_hci_le_remove_device_from_filter_accept_list_command(command)


class LockController(LabController):
    """A lock's: it advertises, whether or not it takes connections."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.le_legacy_advertiser = _Advertiser(self)

    @property
    def connectable(self) -> bool:
        """Whether a central that asks now gets a connection."""
        return self.le_legacy_advertiser.enabled and self.le_legacy_advertiser.connectable


class _Advertiser(LegacyAdvertiser):
    """Advertises at the interval that it was given, connectable or not."""

    @property
    def connectable(self) -> bool:
        kind = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType
        return self.advertising_type == kind.ADV_IND

    def send_advertising_data(self) -> None:
        if self.enabled:
            make = ll.AdvInd if self.connectable else ll.AdvNonConnInd
            self.controller.send_advertising_pdu(make(advertiser_address=self.address, data=self.advertising_data))

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        if self.enabled:  # a central that waited for it may have ended it by now
            units = self.advertising_interval_min * 0.000625
            self.timer_handle = asyncio.get_running_loop().call_later(units, self._on_timer_fired)
