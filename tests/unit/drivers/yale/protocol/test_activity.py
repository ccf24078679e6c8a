from datetime import UTC, datetime

import pytest

from drivers.yale.protocol.activity import Activity
from drivers.yale.protocol.codes import BLUETOOTH, MASTER_CODE, Bolt, Door, Flag, Op, Record, Source
from drivers.yale.protocol.frames import Frame

AT = datetime(2026, 3, 7, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "activity",
    [
        Activity(Record.LOCK, AT, Bolt.LOCKED, Source.REMOTE, BLUETOOTH),
        Activity(Record.LOCK, AT, Bolt.UNLOCKED, Source.MANUAL),
        Activity(Record.DOOR, AT, door=Door.AJAR),
        Activity(Record.PIN, AT, Bolt.LOCKED, Source.PIN, slot=9),
        Activity(Record.KEYPAD_UNLOCK, AT, Bolt.UNLOCKED, Source.PIN, slot=300),
        Activity(Record.KEYPAD_UNLOCK, AT, Bolt.UNLOCKED, Source.PIN, slot=MASTER_CODE),
        Activity(Record.END),
        Activity(0x33),
    ],
)
def test_a_record_there_and_back(activity):
    assert Activity.decode(activity.encode()) == activity


@pytest.mark.parametrize(
    ("payload", "activity"),
    [
        ("00010500" + "00ceab69" + "00000000", Activity(0, datetime(2026, 3, 7, 7, 4, 32, tzinfo=UTC), 5, 1)),
        ("00000303" + "00000000" + "00000000", Activity(0, None, 3, 0, 3)),
        ("0700ceab690000000000eeff", Activity(7, datetime(2026, 3, 7, 7, 4, 32, tzinfo=UTC), 3, 11, slot=0xFFEE)),
    ],
)
def test_a_record_from_a_lock(payload, activity):
    assert Activity.decode(Frame(Flag.RESULT, Op.ACTIVITY, bytes.fromhex(payload))) == activity


def test_a_lock_whose_clock_was_never_set_dates_nothing():
    assert Activity.decode(Frame.of(Flag.RESULT, Op.ACTIVITY, {4: bytes([Record.DOOR])})).at is None
