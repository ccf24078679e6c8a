"""A Nuki lock operated by bleak and nothing else, as the measure of what the bridge adds to it.

`python -m tests.bench.bare ADDRESS CREDENTIAL_FILE`: scans, says that it is ready, and locks or unlocks for every line
of its input that says so, over a connection of its own. It prints one JSON line for each: when it began, how long it
took to know the outcome (CLOCK_MONOTONIC, seconds), and how long it ran for that. It asks what the bridge asks: the
state, a nonce, the action, and its end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice

from drivers.nuki.credential import NukiCredential
from drivers.nuki.protocol.codes import Command, StatusCode, Turn, Uuid
from drivers.nuki.protocol.commands import (
    FROM_LOCK,
    Challenge,
    KeyturnerStates,
    LockAction,
    RequestData,
    Status,
    decode,
)
from drivers.nuki.protocol.frames import Reassembler, sealed, take_sealed
from drivers.nuki.protocol.wire import Message


async def operate(device: BLEDevice, credential: NukiCredential, turn: Turn) -> dict[str, float]:
    """Connect, turn, disconnect; return when it began, and how long it took and ran until the lock was done."""
    began, ran = time.monotonic(), time.process_time()
    key = credential.key_bytes()
    frames = Reassembler(take_sealed(lambda _: key))
    heard: asyncio.Queue[Message | None] = asyncio.Queue()

    def on_indication(_: object, data: bytearray) -> None:
        for frame in frames.feed(bytes(data)):
            heard.put_nowait(decode(FROM_LOCK, frame.command, frame.payload))

    client = BleakClient(device)
    await client.connect()

    async def ask(message: Message, kind: type[Message]) -> Message:
        await client.write_gatt_char(Uuid.USDIO.value, sealed(message, key, credential.auth_id), response=True)
        while not isinstance(answer := await heard.get(), kind):
            pass
        return answer

    await client.start_notify(Uuid.USDIO.value, on_indication)
    await ask(RequestData(Command.KEYTURNER_STATES), KeyturnerStates)
    challenge = await ask(RequestData(Command.CHALLENGE), Challenge)
    assert isinstance(challenge, Challenge)
    await ask(LockAction(turn, credential.app_id, challenge.nonce), Status)
    while await heard.get() != Status(StatusCode.COMPLETE):
        pass
    found = {"began": began, "seconds": time.monotonic() - began, "processor": time.process_time() - ran}
    await client.disconnect()
    return found


async def main(address: str, credential: NukiCredential) -> None:
    """Operate the lock once for every line of the input."""
    found: asyncio.Future[BLEDevice] = asyncio.get_running_loop().create_future()

    def on_advertisement(device: BLEDevice, _: object) -> None:
        if device.address == address and not found.done():
            found.set_result(device)

    async with BleakScanner(on_advertisement):
        device = await found
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await operate(device, credential, Turn[line.strip().upper()])), flush=True)


if __name__ == "__main__":
    stored = json.loads(Path(sys.argv[2]).read_text())["credential"]
    asyncio.run(main(sys.argv[1], NukiCredential.model_validate(stored)))
