"""The cable between the kernel of a machine of ./boot and the controller of its adapter, which is outside.

On the serial line each packet goes after its length, two bytes, little-endian. Runs without this project's environment.
"""

from __future__ import annotations

import os
import sys
import threading
import tty

LENGTH = 2
"""Bytes of a packet's length."""
CREATE = bytes([0xFF, 0x00])
LONGEST = 4096


def main(line: str) -> None:
    """Plug the adapter in and carry its packets."""
    with open(line, "r+b", buffering=0) as outside:  # noqa: PTH123 - a device, without a buffer
        tty.setraw(outside)
        kernel = os.open("/dev/vhci", os.O_RDWR)
        os.write(kernel, CREATE)
        os.read(kernel, LONGEST)  # tells its number

        def outwards() -> None:
            while True:
                packet = os.read(kernel, LONGEST)
                told = len(packet).to_bytes(LENGTH, "little") + packet
                while told:
                    told = told[outside.write(told) :]

        threading.Thread(target=outwards, daemon=True).start()
        with open(line, "rb") as packets:  # noqa: PTH123 - as above
            while length := packets.read(LENGTH):
                packet = packets.read(int.from_bytes(length, "little"))
                try:
                    os.write(kernel, packet)
                except OSError:  # the kernel takes none for an adapter that is powered off
                    continue


if __name__ == "__main__":
    main(sys.argv[1])
