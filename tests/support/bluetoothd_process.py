"""The bluetoothd of this machine as a process: killed, hung, and started again."""

from __future__ import annotations

import os
import signal

import anyio
from dbus_fast import Message, MessageType

from tests.support.virtual_adapter import system_bus

IN_THE_LAB = bool(os.environ.get("BLUEZ_LAB"))
"""There nobody else starts it."""
START_IN_THE_LAB = ["sh", "-c", "setsid /usr/libexec/bluetooth/bluetoothd -n --experimental >/dev/null 2>&1 &"]


async def pid() -> int | None:
    """Return its process id; None if it does not run."""
    async with system_bus() as bus:
        reply = await bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="GetConnectionUnixProcessID",
                signature="s",
                body=["org.bluez"],
            )
        )
    return reply.body[0] if reply.message_type is MessageType.METHOD_RETURN else None


async def send(number: signal.Signals) -> None:
    """Send it a signal, and wait until it is gone if that kills it."""
    process = await pid()
    assert process is not None
    os.kill(process, number)
    if number is signal.SIGKILL:
        with anyio.fail_after(10):
            while await pid() == process:  # noqa: ASYNC110 - what is waited for has no event of its own
                await anyio.sleep(0.05)


async def restart() -> None:
    """Kill it, if it runs, and start it."""
    if await pid() is not None:
        await send(signal.SIGKILL)
    await anyio.run_process(START_IN_THE_LAB if IN_THE_LAB else ["systemctl", "restart", "bluetooth"])
    with anyio.fail_after(15):
        while await pid() is None:  # noqa: ASYNC110 - as above
            await anyio.sleep(0.05)
