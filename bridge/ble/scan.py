"""One scan on one adapter: active, or passive where BlueZ offers that."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import anyio
import structlog
from bleak import BleakScanner
from bleak.args.bluez import BlueZDiscoveryFilters, OrPattern, OrPatternLike
from bleak.assigned_numbers import AdvertisementDataType

from bridge.ble.calls import Calls
from bridge.ble.failures import while_scanning
from bridge.ble.radio import Cause

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

ScanMode = Literal["active", "passive", "auto"]

ANSWER = 10.0
"""Seconds in which BlueZ must start or stop a scan."""

_FLAGS = (0x02, 0x04, 0x05, 0x06, 0x0A, 0x18, 0x1A)
_PATTERNS: list[OrPatternLike] = [OrPattern(0, AdvertisementDataType.FLAGS, bytes([flags])) for flags in _FLAGS]
"""What a passive scan hears: whatever advertises one of the usual sets of flags. BlueZ cannot be asked for all, and for
no more than seven: it counts the bytes of its request to the kernel in a byte (5.66 does), so with an eighth pattern
it writes beyond the memory that it took for them, and the kernel refuses what it gets."""

_FILTERS: tuple[BlueZDiscoveryFilters, ...] = ({"DuplicateData": True}, {"DuplicateData": True, "RSSI": -127})
"""Two that let everything through."""

_log = structlog.get_logger()


class Scan:
    """A scan that runs. Made by `scanning`."""

    def __init__(self, scanner: BleakScanner, *, passive: bool) -> None:
        self._scanner = scanner
        self.passive = passive

    def device(self, address: str) -> BLEDevice | None:
        """Return what is needed to connect to a device that BlueZ knows since this scan began."""
        found = self._scanner.discovered_devices_and_advertisement_data.get(address)
        return found[0] if found else None

    async def stop(self) -> None:
        """Stop it, as far as that can be done: it ends with bluetoothd or its adapter anyway."""
        with anyio.CancelScope(shield=True):
            try:
                await Calls().run(self._scanner.stop, within=ANSWER)
            except Exception as error:  # noqa: BLE001 - told
                _log.info("radio.scan_not_stopped", error=while_scanning(error).message)


@asynccontextmanager
async def scanning(
    adapter: str, mode: ScanMode, heard: Callable[[BLEDevice, AdvertisementData], None], *, turn: int = 0
) -> AsyncGenerator[Scan, None]:
    """Scan on the adapter for as long as the context is open.

    Args:
        adapter: its name (hci0).
        mode: how to scan, if that can be done.
        heard: called with whatever is heard.
        turn: counts the scans. A bluetoothd that believes in a scan that has ended begins none with the same filter.

    Raises:
        RadioDown: the scan cannot be started.
    """
    scan = await _begin(adapter, mode, heard, turn)
    try:
        yield scan
    finally:
        await scan.stop()


async def _begin(
    adapter: str, mode: ScanMode, heard: Callable[[BLEDevice, AdvertisementData], None], turn: int
) -> Scan:
    if mode != "active":
        scanner = BleakScanner(heard, scanning_mode="passive", bluez={"adapter": adapter, "or_patterns": _PATTERNS})
        try:
            await _start(scanner)
        except Exception as error:
            down = while_scanning(error)
            if down.cause is not Cause.SCAN:
                raise down from error
            tell = _log.warning if mode == "passive" else _log.info
            tell("radio.scanning_actively", adapter=adapter, reason=down.message)
        else:
            return Scan(scanner, passive=True)
    scanner = BleakScanner(heard, bluez={"adapter": adapter, "filters": _FILTERS[turn % 2]})
    try:
        await _start(scanner)
    except Exception as error:
        raise while_scanning(error) from error
    return Scan(scanner, passive=False)


async def _start(scanner: BleakScanner) -> None:
    """Start a scan; no cancellation cuts it short, for half a start is a scan that nobody stops."""
    with anyio.CancelScope(shield=True):
        await Calls().run(scanner.start, within=ANSWER)
