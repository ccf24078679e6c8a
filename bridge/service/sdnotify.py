"""The service manager, told over its socket (sd_notify(3))."""

from __future__ import annotations

import os
import socket


def listens() -> bool:
    """Tell whether a service manager started this process and wants to be told."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify(state: str) -> None:
    """Tell systemd, if it started this process; otherwise do nothing.

    Raises:
        OSError: the socket that systemd named does not take it.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sender:
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.sendall(state.encode())


def tell(state: str) -> bool:
    """Tell systemd what may be missed, and return whether it took it: one that is busy holds nothing up."""
    try:
        notify(state)
    except OSError:
        return False
    return True
