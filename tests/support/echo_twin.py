"""The smallest virtual peripheral: it indicates whatever is written to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from drivers.base import Advertisement
from drivers.virtual.peripheral import AttError, Central, GattTable, Property

if TYPE_CHECKING:
    from drivers.virtual.lock import VirtualLock

ADDRESS = "54:D2:72:00:00:01"
SERVICE = "a92ee200-5501-11e4-916c-0800200c9a66"
ECHO = "a92ee202-5501-11e4-916c-0800200c9a66"
NAME = "a92ee203-5501-11e4-916c-0800200c9a66"

REFUSED = b"refused"
DROPPED = b"dropped"
"""Writing these has the twin refuse the write with ATT error 0x80, or drop the connection at once."""


class EchoTwin:
    """Echoes writes as indications, one task switch later."""

    lock: VirtualLock

    def __init__(self, address: str = ADDRESS) -> None:
        self.address = address
        self.gatt: GattTable = {
            SERVICE: {ECHO: frozenset({Property.WRITE, Property.INDICATE}), NAME: frozenset({Property.READ})}
        }
        self.advertising = True
        self.refusing = False
        self.central: Central | None = None
        self.written: list[bytes] = []
        self._echoes: list[bytes] = []
        self._stir = anyio.Event()

    def advertisement(self) -> Advertisement | None:
        if not self.advertising:
            return None
        return Advertisement(
            self.address,
            name="Echo",
            rssi=-60,
            manufacturer_data={0x004C: b"\x02\x15"},
            service_data={SERVICE: b"\x01"},
            service_uuids=(SERVICE,),
        )

    async def run(self, *, task_status=anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        while True:
            while self._echoes and self.central is not None:
                self.central.notify(ECHO, self._echoes.pop(0))
            self._stir = anyio.Event()
            await self._stir.wait()

    def connected(self, central: Central) -> None:
        if self.refusing:
            raise ConnectionRefusedError("It is switched off")
        self.central = central

    def disconnected(self, central: Central) -> None:
        assert central is self.central
        self.central = None
        self._echoes.clear()

    def read(self, characteristic: str) -> bytes:
        if characteristic != NAME:
            raise AttError(0x02)
        return b"Echo"

    def write(self, characteristic: str, data: bytes) -> None:
        if data == REFUSED:
            raise AttError(0x80)
        self.written.append(data)
        if data == DROPPED:
            assert self.central is not None
            self.central.drop()
        else:
            self._echoes.append(data)
            self._stir.set()
