import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.nuki.protocol.codes import Command
from drivers.nuki.protocol.commands import Challenge, ErrorReport, RequestData, Status
from drivers.nuki.protocol.crypto import seal
from drivers.nuki.protocol.frames import (
    MAX_FRAME,
    PAIRING_SIZES,
    Reassembler,
    crc,
    plain,
    sealed,
    take_first,
    take_plain,
    take_sealed,
)

KEY = bytes.fromhex("217FCB0F18CAF284E9BDEA0B94B83B8D10867ED706BFDEDBD2381F4CB3B8F730")
OTHER_KEY = bytes(range(32))
AUTH_ID = 2
LONG = Challenge(bytes(range(32)))


def split(frame: bytes, size: int = 20) -> list[bytes]:
    return [frame[at : at + size] for at in range(0, len(frame), size)]


def feed(reassembler: Reassembler, parts) -> list[int]:
    return [frame.command for part in parts for frame in reassembler.feed(part)]


@pytest.fixture
def encrypted() -> Reassembler:
    return Reassembler(take_sealed(lambda auth_id: KEY if auth_id == AUTH_ID else None))


def test_the_checksum_is_the_documents():
    assert crc(bytes.fromhex("01000300")) == bytes.fromhex("27A7")


def test_an_encrypted_frame_is_the_documents():
    nonce = bytes.fromhex("37917F1AF31EC5940705F34D1E5550607D5B2F9FE7D496B6")
    assert sealed(RequestData(Command.KEYTURNER_STATES), KEY, AUTH_ID, nonce).hex().upper() == (
        "37917F1AF31EC5940705F34D1E5550607D5B2F9FE7D496B6020000001A00670D124926004366532E8D927A33FE84E782A9594D39157D065E"
    )


def test_the_documents_encrypted_states_are_read(encrypted):
    frame = (
        "90B0757CFED0243017EAF5E089F8583B9839D61B050924D2020000002700B13938B67121B6D528E7DE206B0D7C5A94587A471B33EBFB"
        "012CED8F1261135566ED756E3910B5"
    )
    (found,) = [f for part in split(bytes.fromhex(frame)) for f in encrypted.feed(part)]
    assert found.command == Command.KEYTURNER_STATES
    assert found.payload.hex().upper() == "020100E0070307080F1E3C0000200A"


def test_the_documents_encrypted_challenge_is_read(encrypted):
    frame = (
        "99C8613A9F6AB6D3FB0399D37AD38C5C003AC139B1567BC102000000380028CDCC668C08DA47BF323BF9371EBF068F6D480438563660"
        "780A4234D9A23794E305EE37878874EDE106A0BBFCF5B60E0C2E2BA17248A02B"
    )
    assert feed(encrypted, split(bytes.fromhex(frame))) == [Command.CHALLENGE]


def test_frames_never_share_a_nonce():
    assert sealed(Status(0), KEY, AUTH_ID)[:24] != sealed(Status(0), KEY, AUTH_ID)[:24]


@pytest.mark.parametrize("size", [1, 7, 20, 244])
def test_a_frame_is_whole_however_it_is_split(encrypted, size):
    assert feed(encrypted, split(sealed(LONG, KEY, AUTH_ID), size)) == [Command.CHALLENGE]
    assert encrypted.dropped == 0


def test_two_frames_in_one_indication_are_two(encrypted):
    both = sealed(LONG, KEY, AUTH_ID) + sealed(Status(0), KEY, AUTH_ID)
    assert feed(encrypted, [both]) == [Command.CHALLENGE, Command.STATUS]


@pytest.mark.parametrize("lost", range(5))
def test_a_lost_indication_costs_its_frame_alone(encrypted, lost):
    parts = split(sealed(LONG, KEY, AUTH_ID))
    del parts[lost]
    assert feed(encrypted, parts) == []
    assert feed(encrypted, split(sealed(Status(0), KEY, AUTH_ID))) == [Command.STATUS]
    assert encrypted.dropped == sum(map(len, parts))


def test_a_doubled_first_indication_costs_nothing(encrypted):
    parts = split(sealed(LONG, KEY, AUTH_ID))
    assert feed(encrypted, [parts[0], *parts]) == [Command.CHALLENGE]
    assert encrypted.dropped == 20


def test_a_doubled_last_indication_costs_nothing(encrypted):
    parts = split(sealed(LONG, KEY, AUTH_ID))
    assert feed(encrypted, [*parts, parts[-1]]) == [Command.CHALLENGE]
    assert feed(encrypted, split(sealed(Status(0), KEY, AUTH_ID))) == [Command.STATUS]


def test_a_repeated_frame_is_ignored_and_counted(encrypted):
    frame = sealed(Status(0), KEY, AUTH_ID)
    assert feed(encrypted, [frame, frame]) == [Command.STATUS]
    assert encrypted.repeated == 1


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(sealed(Status(0), KEY, 3), id="of another authorization"),
        pytest.param(sealed(Status(0), OTHER_KEY, AUTH_ID), id="under another key"),
        pytest.param(b"\xff" * 300, id="garbage"),
    ],
)
def test_a_frame_that_is_not_authentic_is_never_trusted(encrypted, foreign):
    assert feed(encrypted, split(foreign)) == []
    assert feed(encrypted, split(sealed(Status(0), KEY, AUTH_ID))) == [Command.STATUS]
    assert encrypted.dropped == len(foreign)


def with_body(body: bytes) -> bytes:
    nonce = bytes(24)
    box = seal(KEY, nonce, body)
    return nonce + AUTH_ID.to_bytes(4, "little") + len(box).to_bytes(2, "little") + box


BODY = AUTH_ID.to_bytes(4, "little") + b"\x0e\x00\x00"
FOREIGN_BODY = b"\x03\x00\x00\x00\x0e\x00\x00"


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (BODY + crc(BODY), 1),
        (BODY + b"\0\0", 0),
        (FOREIGN_BODY + crc(FOREIGN_BODY), 0),
        (b"\x02", 0),
    ],
    ids=["right", "wrong checksum", "other authorization inside", "too short"],
)
def test_what_a_box_holds_is_checked_too(encrypted, body, count):
    assert len(list(encrypted.feed(with_body(body) + bytes(8)))) == count


@given(st.lists(st.binary(max_size=40), max_size=60))
@settings(max_examples=50)
def test_garbage_yields_nothing_and_is_bounded(parts):
    reassembler = Reassembler(take_sealed(lambda _: KEY))
    assert feed(reassembler, parts) == []
    assert sum(map(len, reassembler._parts)) <= MAX_FRAME


def test_endless_garbage_does_not_pile_up(encrypted):
    assert feed(encrypted, [b"", b"\xff" * 20] * 200) == []
    assert sum(map(len, encrypted._parts)) <= MAX_FRAME
    assert encrypted.dropped >= 200 * 20 - MAX_FRAME
    assert feed(encrypted, [b"\xff" * 2 * MAX_FRAME]) == []
    assert not encrypted._parts


def test_a_plain_frame_has_a_known_size_and_a_right_checksum():
    reassembler = Reassembler(take_plain(PAIRING_SIZES))
    frame = plain(LONG)
    assert feed(reassembler, split(frame[:-1] + b"\x00")) == []
    assert feed(reassembler, split(frame)) == [Command.CHALLENGE]
    assert feed(reassembler, [plain(RequestData(3))]) == []


def test_whichever_frame_is_there_is_taken():
    reassembler = Reassembler(take_first(take_sealed(lambda _: KEY), take_plain(PAIRING_SIZES)))
    assert feed(reassembler, [sealed(Status(0), KEY, 9), plain(ErrorReport(0x20, 1))]) == [
        Command.STATUS,
        Command.ERROR_REPORT,
    ]


def test_a_payload_is_not_shown():
    (frame,) = Reassembler(take_plain(PAIRING_SIZES)).feed(plain(LONG))
    assert repr(LONG.nonce) not in repr(frame)
