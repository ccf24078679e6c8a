from datetime import UTC, datetime

import pytest

from drivers.base import Action, LogRecord, Method
from drivers.yale.history import record
from drivers.yale.protocol.activity import Activity
from drivers.yale.protocol.codes import BLUETOOTH, MASTER_CODE, Bolt, Door, Record, Source

AT = datetime(2026, 3, 7, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("activity", "action", "method"),
    [
        (Activity(Record.LOCK, AT, Bolt.LOCKED, Source.MANUAL), Action.LOCK, Method.MANUAL_TURN),
        (Activity(Record.LOCK, AT, Bolt.SECURE_MODE, Source.AUTO_LOCK), Action.LOCK, Method.AUTO_LOCK),
        (Activity(Record.LOCK, AT, Bolt.UNLOCKED, Source.REMOTE, 0), Action.UNLOCK, Method.UNKNOWN),
        (Activity(Record.LOCK, AT, Bolt.UNLATCHED, 0x77), Action.UNLATCH, Method.UNKNOWN),
        (Activity(Record.PIN, AT, Bolt.LOCKED, Source.PIN, slot=0), Action.LOCK, Method.UNKNOWN),
    ],
)
def test_who_did_what(activity, action, method):
    assert record(activity) == LogRecord(0, AT, action, method, succeeded=True)


def test_what_came_over_bluetooth_may_be_ours():
    found = record(Activity(Record.LOCK, AT, Bolt.UNLOCKED, Source.REMOTE, BLUETOOTH))
    assert (found.perhaps_ours, found.ours, found.method) == (True, False, Method.MOBILE_APP)


@pytest.mark.parametrize("slot", [1, 300, MASTER_CODE])
def test_whose_code_it_was(slot):
    found = record(Activity(Record.KEYPAD_UNLOCK, AT, Bolt.UNLOCKED, Source.PIN, slot=slot))
    assert (found.action, found.method, found.code_id) == (Action.UNLOCK, Method.PIN_CODE, slot)


@pytest.mark.parametrize(
    "activity",
    [
        Activity(Record.DOOR, AT, door=Door.OPEN),
        Activity(Record.LOCK, AT, Bolt.JAMMED, Source.MANUAL),
        Activity(Record.LOCK, AT, Bolt.UNLOCKING, Source.MANUAL),
        Activity(0x33),
    ],
)
def test_what_tells_of_no_action(activity):
    found = record(activity)
    assert (found.action, found.succeeded) == (None, None)
