"""From the entries of a Sesame's history to who did what."""

import struct
from datetime import UTC, datetime

import pytest

from drivers.base import Action, Fault, Method
from drivers.sesame.history import DRIVING, Historian, is_ours, marked
from drivers.sesame.protocol.codes import HistoryType, TagType
from drivers.sesame.protocol.errors import ProtocolError
from drivers.sesame.protocol.history import HistoryEntry, number_of

SECRET = bytes(range(16))
AT = 1_772_870_400
CODE = b"246810"
PERSON = bytes(range(16))
LOCK, LOCKED, UNLOCKED, FAILED = (
    HistoryType.BLE_LOCK,
    HistoryType.DRIVE_LOCKED,
    HistoryType.DRIVE_UNLOCKED,
    HistoryType.DRIVE_FAILED,
)


def entry(kind, tag=b"", at=AT, number=7):
    return HistoryEntry.decode(struct.pack("<IBI", number, kind, at) + bytes(7) + tag)


def named(name):
    return bytes([len(name)]) + name


def typed(kind, data=CODE, order="big"):
    return int(kind).to_bytes(2, order) + data


def read(*entries):
    """Return the record that the last of the entries gives; those before give none."""
    historian = Historian(SECRET)
    for each in entries[:-1]:
        assert historian.read(each) is None
    return historian.read(entries[-1])


@pytest.mark.parametrize(
    ("tag", "name", "tag_type"),
    [
        (b"", b"", None),
        (b"\x00", b"", None),
        (bytes(33), b"", None),
        (named(b"Ada"), b"Ada", None),
        (named(b"Ada") + bytes(10), b"Ada", None),
        (b"\x14Ada", b"Ada", None),
        (typed(TagType.PASSWORD), b"", TagType.PASSWORD),
        (typed(TagType.PASSWORD, order="little"), b"", TagType.PASSWORD),
        (typed(TagType.CARD), b"", TagType.CARD),
        (typed(6), b"", 6),
        (b"\x00\x14more", b"", None),
    ],
)
def test_a_tag_is_a_name_or_has_a_type(tag, name, tag_type):
    found = entry(LOCK, tag)
    assert (found.name, found.tag_type) == (name, tag_type)
    assert found.number == struct.pack("<I", 7)


def test_an_account_of_the_app_is_kept_and_a_code_is_not():
    assert entry(LOCK, typed(TagType.IOS_BLE, PERSON)).person == PERSON.hex()
    found = entry(LOCK, typed(TagType.PASSWORD))
    assert found.person is None
    assert "246810" not in repr(found)
    assert CODE.hex() not in repr(found)


def test_what_is_too_short_is_no_entry():
    with pytest.raises(ProtocolError):
        HistoryEntry.decode(bytes(15))


@pytest.mark.parametrize(
    ("tag_type", "method"),
    [
        (TagType.CARD, Method.FOB_CARD),
        (TagType.FINGER, Method.FINGERPRINT),
        (TagType.PASSWORD, Method.PIN_CODE),
        (TagType.FACE, Method.UNKNOWN),
        (TagType.PALM, Method.UNKNOWN),
        (7, Method.UNKNOWN),
        (TagType.REMOTE, Method.BLUETOOTH_KEY),
        (TagType.REMOTE_NANO, Method.BLUETOOTH_KEY),
        (TagType.BUSINESS, Method.REMOTE_API),
        (TagType.WEB, Method.REMOTE_API),
        (TagType.ANDROID_BLE, Method.MOBILE_APP),
        (TagType.IOS_BLE, Method.MOBILE_APP),
        (TagType.ANDROID_WIFI, Method.MOBILE_APP),
        (TagType.IOS_WIFI, Method.MOBILE_APP),
    ],
)
def test_the_type_of_the_tag_names_the_means(tag_type, method):
    record = read(entry(LOCK, typed(tag_type)), entry(LOCKED))
    assert (record.action, record.method, record.succeeded) == (Action.LOCK, method, True)
    assert record.at == datetime.fromtimestamp(AT, UTC)
    assert "246810" not in repr(record)
    assert (record.actor is None) is (tag_type < TagType.ANDROID_BLE)


def test_a_person_is_named_by_the_account():
    record = read(entry(LOCK, typed(TagType.ANDROID_BLE, PERSON)), entry(LOCKED))
    assert (record.actor, record.ours) == (PERSON.hex(), False)


@pytest.mark.parametrize(
    ("kind", "done", "action", "method"),
    [
        (HistoryType.BLE_UNLOCK, UNLOCKED, Action.UNLOCK, Method.UNKNOWN),
        (HistoryType.WIFI_LOCK, LOCKED, Action.LOCK, Method.UNKNOWN),
        (HistoryType.WIFI_UNLOCK, UNLOCKED, Action.UNLOCK, Method.UNKNOWN),
        (HistoryType.WEB_LOCK, LOCKED, Action.LOCK, Method.REMOTE_API),
        (HistoryType.WEB_UNLOCK, UNLOCKED, Action.UNLOCK, Method.REMOTE_API),
        (HistoryType.AUTO_LOCK, LOCKED, Action.LOCK, Method.AUTO_LOCK),
    ],
)
def test_a_command_and_what_came_of_it_are_one_operation(kind, done, action, method):
    record = read(entry(kind, named(b"Ada")), entry(done, at=AT + 3))
    assert (record.action, record.method, record.succeeded, record.actor) == (action, method, True, "Ada")


@pytest.mark.parametrize("name", [b"", b"\xff\x00", b"  ", b"a\nb"])
def test_a_name_that_cannot_be_shown_is_none(name):
    record = read(entry(LOCK, named(name)), entry(LOCKED))
    assert record.actor is None or record.actor.isprintable()
    assert record.tag == (name or None)


def test_a_hand_on_the_thumb_turn_is_manual():
    for kind, action in ((HistoryType.MANUAL_LOCKED, Action.LOCK), (HistoryType.MANUAL_UNLOCKED, Action.UNLOCK)):
        record = read(entry(kind))
        assert (record.action, record.method, record.succeeded) == (action, Method.MANUAL_TURN, True)


def test_a_command_that_the_motor_did_not_carry_out_failed():
    record = read(entry(LOCK, typed(TagType.PASSWORD)), entry(FAILED))
    assert (record.action, record.method) == (Action.LOCK, Method.PIN_CODE)
    assert (record.succeeded, record.fault) == (False, Fault.JAMMED)


def test_a_motor_that_failed_at_nobody_knows_what_did_nothing():
    record = read(entry(FAILED))
    assert (record.action, record.succeeded) == (None, False)


@pytest.mark.parametrize(
    "before",
    [
        (),
        (entry(HistoryType.BLE_UNLOCK, typed(TagType.CARD)),),
        (entry(LOCK, typed(TagType.CARD), at=AT - DRIVING - 1),),
        (entry(LOCK, typed(TagType.CARD), at=AT + 1),),
    ],
    ids=["nothing", "another action", "long before", "later"],
)
def test_a_movement_is_nobodys_whose_command_is_not_known(before):
    record = read(*before, entry(LOCKED))
    assert (record.action, record.method, record.succeeded) == (Action.LOCK, Method.UNKNOWN, True)


def test_a_command_explains_one_movement():
    historian = Historian(SECRET)
    assert historian.read(entry(LOCK, typed(TagType.CARD))) is None
    assert historian.read(entry(LOCKED)).method is Method.FOB_CARD
    assert historian.read(entry(LOCKED)).method is Method.UNKNOWN


@pytest.mark.parametrize("kind", [3, 4, 5, HistoryType.MANUAL_ELSE, 13, 90, 200])
def test_what_is_no_operation_is_passed_over(kind):
    assert read(entry(kind)) is None


def test_what_we_did_is_known_by_its_mark():
    tag = marked(SECRET, b"act_0123456789abcdef")
    assert len(tag) == 20
    assert tag.startswith(b"act_0123456789ab")
    record = read(entry(LOCK, named(tag)), entry(LOCKED))
    assert (record.method, record.ours, record.tag) == (Method.REMOTE_API, True, tag)


@pytest.mark.parametrize(
    "tag",
    [b"", b"Ada", b"act_0123456789abcdef", marked(bytes(16), b"act_0123456789ab"), b"b" + marked(SECRET, b"act")[1:]],
)
def test_what_others_did_has_no_such_mark(tag):
    assert not is_ours(SECRET, tag)
    assert not read(entry(LOCK, named(tag)), entry(LOCKED)).ours


def test_the_number_of_an_entry_is_read_whatever_else_is_in_it():
    assert number_of(b"\x01\x02\x03\x04garbage") == b"\x01\x02\x03\x04"
    with pytest.raises(ProtocolError, match="could not be understood"):
        number_of(b"\x01\x02\x03")
