"""What a program does with Seam's Python client, of any version; prints what came of it as JSON.

Run as: python_client.py PART..., with SEAM_ENDPOINT and SEAM_API_KEY in the environment.
"""

import json
import os
import sys
import time

import seam
from seam import Seam

LONG_AGO = "2020-01-01T00:00:00Z"
SOON = {"timeout": 20.0, "polling_interval": 0.05}


def client(**options):
    return Seam(endpoint=os.environ["SEAM_ENDPOINT"], **{"api_key": os.environ["SEAM_API_KEY"], **options})


def caught(work):
    """Return what of an error its callers rely on."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - which one it is is what is asked
        told = {"error": type(error).__name__, "code": getattr(error, "code", None)}
        told["status"] = getattr(error, "status_code", None)
        told["request_id"] = bool(getattr(error, "request_id", None))
        if hasattr(error, "get_validation_error_messages"):
            told["validation"] = [name for name in ("device_id", "since") if error.get_validation_error_messages(name)]
        return told
    return None


def operating():
    """Lock and unlock, waiting and polling."""
    bridge = client(wait_for_action_attempt=SOON)
    device_id = bridge.locks.list()[0].device_id
    unlocked = bridge.locks.unlock_door(device_id=device_id)
    locked = bridge.locks.lock_door(device_id=device_id, wait_for_action_attempt=SOON)
    pending = bridge.locks.unlock_door(device_id=device_id, wait_for_action_attempt=False)
    polled = pending
    while polled.status == "pending":
        time.sleep(0.02)
        polled = bridge.action_attempts.get(action_attempt_id=pending.action_attempt_id, wait_for_action_attempt=False)
    resolved = bridge.action_attempts.get(action_attempt_id=pending.action_attempt_id)
    lock = bridge.locks.get(device_id=device_id)
    return {
        "unlocked": [unlocked.action_type, unlocked.status, bool(unlocked.error)],
        "locked": [locked.action_type, locked.status, bool(locked.error)],
        "pending": pending.status,
        "polled": [polled.status, polled.action_attempt_id == pending.action_attempt_id],
        "resolved": resolved.status,
        "lock": [lock.device_id == device_id, lock.properties.locked, lock.properties.online],
    }


def listing():
    """Ask for lists, pages and events."""
    bridge = client(wait_for_action_attempt=SOON)
    devices = [device.device_id for device in bridge.devices.list()]
    ids = [bridge.locks.lock_door(device_id=device_id).action_attempt_id for device_id in devices for _ in range(2)]
    named = bridge.action_attempts.list(action_attempt_ids=[ids[0], ids[2]])
    events = bridge.events.list(since=LONG_AGO, event_type="action_attempt.lock_door.succeeded", device_id=devices[0])
    found = {
        "locks": [lock.device_id for lock in bridge.locks.list()] == devices,
        "two": len(devices),
        "named": [attempt.action_attempt_id for attempt in named] == [ids[0], ids[2]],
        "none": bridge.action_attempts.list(action_attempt_ids=[]) == [],
        "events": {event.action_attempt_id for event in events} >= set(ids[:2]),
        "between": len(bridge.events.list(between=[LONG_AGO, "2020-01-02T00:00:00Z"])),
        "event": bridge.events.get(event_id=events[0].event_id).event_id == events[0].event_id,
        "workspace": bool(bridge.workspaces.get().workspace_id),
    }
    if hasattr(bridge, "create_paginator"):
        pages = bridge.create_paginator(bridge.action_attempts.list, {"limit": 1, "action_attempt_ids": ids})
        first, more = pages.first_page()
        found["pages"] = [
            [attempt.action_attempt_id for attempt in first] == ids[:1],
            more.has_next_page,
            [attempt.action_attempt_id for attempt in pages.flatten_to_list()] == ids,
        ]
    return found


def failing():
    """Operate a lock that is jammed."""
    bridge = client(wait_for_action_attempt=SOON)
    device_id = bridge.locks.list()[0].device_id
    locked = getattr(bridge.locks.get(device_id=device_id).properties, "locked", True)
    operate = bridge.locks.unlock_door if locked else bridge.locks.lock_door
    failed = []

    def jam():
        try:
            operate(device_id=device_id)
        except seam.SeamActionAttemptFailedError as error:
            failed.append(error.action_attempt)
            raise

    return {"caught": caught(jam), "attempt": [failed[0].status, failed[0].error.type, bool(failed[0].error.message)]}


def late():
    """Wait for less time than the motor takes."""
    bridge = client()
    device_id = bridge.locks.list()[0].device_id
    hasty = {"timeout": 0.02, "polling_interval": 0.01}
    return caught(lambda: bridge.locks.unlock_door(device_id=device_id, wait_for_action_attempt=hasty))


def refused():
    """Do what is answered with an error."""
    bridge = client()
    nobody = "00000000-0000-4000-8000-000000000000"
    return {
        "key": caught(client(api_key="seam_lb_00000000_nobodys").locks.list),
        "device": caught(lambda: bridge.locks.unlock_door(device_id=nobody)),
        "attempt": caught(lambda: bridge.action_attempts.get(action_attempt_id=nobody)),
        "input": caught(lambda: bridge.locks.unlock_door(device_id=7)),
        "time": caught(lambda: bridge.events.list(since="yesterday")),
    }


PARTS = {part.__name__: part for part in (operating, listing, failing, late, refused)}
sys.stdout.write(json.dumps({name: PARTS[name]() for name in sys.argv[1:]}))
