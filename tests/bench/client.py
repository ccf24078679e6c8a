"""The application's side of the benchmark, in a process of its own: sends commands and notes the time of each.

Prints one JSON object at its end. Times are CLOCK_MONOTONIC in seconds, the same clock in every process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
import uuid
from collections import defaultdict

import anyio

from bridge.mqtt.broker import Settings, Subscription
from bridge.mqtt.connection import Connection

ACTIONS = ("unlock", "lock")


async def commands(connection: Connection, base: str, locks: int, total: int, in_flight: int) -> dict[str, object]:
    """Keep `in_flight` commands under way at each lock until `total` have ended; the next goes when one ends."""
    await connection.subscribe([Subscription(f"{base}/events/lock.action_completed/+")])
    run = uuid.uuid4().hex
    sent: list[float] = []
    ended = 0
    turns = defaultdict(lambda: itertools.cycle(ACTIONS))
    failures: list[str] = []

    def send(lock_id: str) -> None:
        body = {"action": next(turns[lock_id]), "custom_id": f"{run}-{len(sent)}"}
        sent.append(time.monotonic())
        connection.send(f"{base}/locks/{lock_id}/actions", json.dumps(body).encode())

    for lock in range(locks):
        for _ in range(in_flight):
            send(f"lock_{lock}")
    began = time.monotonic()
    async for message in connection.messages:
        connection.ack(message)
        body = json.loads(message.payload)
        ended += 1
        if body["status"] != "success":
            failures.append(body["error_code"])
        if len(sent) < total:
            send(body["device_id"])
        if ended == total:
            break
    return {"sent": sent, "seconds": time.monotonic() - began, "failures": failures}


async def main() -> None:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--locks", type=int, default=1)
    parser.add_argument("--total", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=1)
    options = parser.parse_args()
    settings = Settings(client_id="bench", host="127.0.0.1", port=options.port)
    connection = await Connection.open(settings, 0, clean=True)

    async def serve(open_: Connection) -> None:
        found = await commands(open_, options.base, options.locks, options.total, options.in_flight)
        print(json.dumps(found))

    await connection.run(serve)


if __name__ == "__main__":
    anyio.run(main)
