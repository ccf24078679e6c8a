"""The vendor's own vectors (Nuki Smart Lock Bluetooth API, "Command usage examples", "Authorize app")."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.nuki.protocol import pairing_commands as p
from drivers.nuki.protocol.commands import Challenge, RequestData, Status, decode
from drivers.nuki.protocol.crypto import shared_key
from drivers.nuki.protocol.errors import ProtocolError
from drivers.nuki.protocol.frames import PAIRING_SIZES, Reassembler, plain, take_plain

PRIVATE = bytes.fromhex("8CAA54672307BFFDF5EA183FC607158D2011D008ECA6A1088614FF0853A5AA07")
HOST = bytes.fromhex("F88127CCF48023B5CBE9101D24BAA8A368DA94E8C2E3CDE2DED29CE96AB50C15")
LOCK = bytes.fromhex("2FE57DA347CD62431528DAAC5FBB290730FFF684AFC4CFC2ED90995F58CB3B74")
KEY = shared_key(PRIVATE, LOCK)
CHALLENGE_1 = "04006CD4163D159050C798553EAA57E278A579AFFCBC56F09FC57FE879E51C42DF17C3DF"
CHALLENGE_2 = "0400E0742CFEA39CB46109385BF91286A3C02F40EE86B0B62FC34033094DE41E2C0D7FE1"
OUR_NONCE = bytes.fromhex("52AFE0A664B4E9B56DC6BD4CB718A6C9FED6BE17A7411072AA0D315378140577")
AUTHORIZATION_ID = (
    "07003A270A2E453443C3790E657CEBE634B03F0102F45681B4067C661D46E6E15EDF0200000083B33643C6D97EF77ED51C02A277CBF7"
    "EA479915982F13C61D997A56678AD77791BFA7E95229A3DD34F87132BF3E3C97DB9F"
)


def from_lock(frame: str):
    """Reassemble and decode one frame of the lock, that came in indications of 20 bytes."""
    data = bytes.fromhex(frame)
    reassembler = Reassembler(take_plain(PAIRING_SIZES))
    (found,) = [f for at in range(0, len(data), 20) for f in reassembler.feed(data[at : at + 20])]
    return decode(p.PAIRING_FROM_LOCK, found.command, found.payload)


def to_lock(message) -> str:
    return plain(message).hex().upper()


def test_step_1_asks_for_the_public_key():
    assert to_lock(RequestData(3)) == "0100030027A7"


def test_steps_2_and_3_exchange_public_keys():
    assert from_lock("03002FE57DA347CD62431528DAAC5FBB290730FFF684AFC4CFC2ED90995F58CB3B749DB9") == p.PublicKey(LOCK)
    assert to_lock(p.PublicKey(HOST)) == f"0300{HOST.hex().upper()}9241"


def test_step_5_proves_the_shared_key():
    first = from_lock(CHALLENGE_1)
    assert isinstance(first, Challenge)
    proof = p.Authenticator.sign(KEY, HOST, LOCK, first.nonce)
    assert to_lock(proof) == "0500B09A0D3979A029E5FD027B519EAA200BC14AD3E163D3BE4563843E021073BCB1C357"
    assert proof.verify(KEY, HOST, LOCK, first.nonce)
    assert not proof.verify(KEY, LOCK, HOST, first.nonce)


def test_step_7_introduces_the_host():
    second = from_lock(CHALLENGE_2)
    introduction = p.AuthorizationData.sign(KEY, second.nonce, kind=0, app_id=0, name="Marc (Test)", nonce=OUR_NONCE)
    assert to_lock(introduction) == (
        "0600CF1B9E7801E3196E6594E76D57908EE500AAD5C33F4B6E0BBEA0DDEF82967BFC00000000004D61726320285465737429"
        "00000000000000000000000000000000000000000052AFE0A664B4E9B56DC6BD4CB718A6C9FED6BE17A7411072AA0D31537814"
        "057769F2"
    )
    assert introduction.verify(KEY, second.nonce)
    assert not introduction.verify(KEY, OUR_NONCE)


def test_step_8_gives_an_authorization_that_verifies():
    given_id = from_lock(AUTHORIZATION_ID)
    assert isinstance(given_id, p.AuthorizationId)
    assert given_id.auth_id == 2
    assert given_id.verify(KEY, OUR_NONCE)
    assert not given_id.verify(KEY, bytes(32))
    signed = p.AuthorizationId.sign(KEY, OUR_NONCE, auth_id=2, uuid=given_id.uuid, nonce=given_id.nonce)
    assert signed == given_id


def test_step_9_confirms():
    given_id = from_lock(AUTHORIZATION_ID)
    confirmation = p.Confirmation.sign(KEY, given_id.nonce, auth_id=2)
    assert to_lock(confirmation) == "1E003A41B91A66FBC4D22EFEFBB7272140829695A3917433D5BEB981B76166D13F8A02000000CDF5"
    assert confirmation.verify(KEY, given_id.nonce)
    assert not confirmation.verify(KEY, OUR_NONCE)


def test_step_10_is_complete():
    assert from_lock("0E00009DD7") == Status(0)


@pytest.mark.parametrize(
    "message",
    [
        p.AuthorizationInfo(1),
        p.UltraAuthorizationData(7, "Bridge", 123456),
        p.UltraAuthorizationId(9, bytes(range(16))),
        p.AuthorizationData(bytes(32), 1, 2, "Bridge", bytes(32)),
        p.AuthorizationId(bytes(32), 1, bytes(16), bytes(32)),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_survives_the_way_there_and_back(message):
    assert type(message).decode(message.encode()) == message


@pytest.mark.parametrize("kinds", [p.PAIRING_FROM_LOCK, p.PAIRING_FROM_HOST])
@given(command=st.integers(0, 0x50), payload=st.binary(max_size=110))
def test_any_bytes_are_a_message_or_a_protocol_error(kinds, command, payload):
    try:
        message = decode(kinds, command, payload)
    except ProtocolError:
        return
    assert message is None or message.command == command


def test_the_pin_is_not_shown():
    assert "123456" not in repr(p.UltraAuthorizationData(7, "Bridge", 123456))
