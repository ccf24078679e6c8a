"""The kernel's end of a virtual controller: /dev/vhci (hci_vhci), one HCI packet a read and a write."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

VENDOR = 0xFF
CREATE = bytes([VENDOR, 0x00])
"""Asks for an adapter; the kernel answers with its index."""
LONGEST = 4096


class Vhci:
    """An adapter of the kernel's, as long as it is open. Takes what its controller sends (`on_packet`)."""

    def __init__(self) -> None:
        self.index: int | None = None
        self.receive: Callable[[bytes], None] | None = None
        """Gets every packet that the kernel sends."""
        self._created = anyio.Event()
        self._file: int | None = None

    async def open(self) -> int:
        """Plug the adapter in; return its number, as in hci0."""
        self._file = os.open("/dev/vhci", os.O_RDWR | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._file, self._read)
        os.write(self._file, CREATE)
        with anyio.fail_after(5):
            await self._created.wait()
        assert self.index is not None
        return self.index

    async def close(self) -> None:
        """Pull the adapter out."""
        if self._file is not None:
            file, self._file = self._file, None
            asyncio.get_running_loop().remove_reader(file)
            with anyio.CancelScope(shield=True):  # the kernel takes its time over it
                await anyio.to_thread.run_sync(os.close, file)

    def on_packet(self, packet: bytes) -> None:
        """Hand a packet to the kernel, which takes none for an adapter that is powered off."""
        if self._file is not None:
            try:
                os.write(self._file, packet)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise

    def _read(self) -> None:
        assert self._file is not None
        with suppress(BlockingIOError):
            packet = os.read(self._file, LONGEST)
            if packet[0] == VENDOR:
                self.index = int.from_bytes(packet[2:4], "little")
                self._created.set()
            elif self.receive is not None:
                self.receive(packet)
