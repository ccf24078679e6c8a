"""AES-CMAC as RFC 4493 has it; the rest as pysesame-ble, which others use with real locks, computes it."""

import pytest

from drivers.sesame.protocol.agreement import PUBLIC_BYTES, Agreement
from drivers.sesame.protocol.crypto import Opener, Sealer, token
from drivers.sesame.protocol.errors import ProtocolError

SECRET = bytes(range(16))
RANDOM = bytes.fromhex("01020304")
KEY = bytes.fromhex("b1e9049e5417ff1a699264d689028aec")
FIRST, SECOND = bytes.fromhex("b35d366100"), bytes.fromhex("37938c2a6e33dc7f50")


@pytest.mark.parametrize(
    ("message", "mac"),
    [
        ("", "bb1d6929e95937287fa37d129b756746"),
        ("6bc1bee22e409f96e93d7e117393172a", "070a16b46b4d4144f79bdd9dd04a287c"),
    ],
)
def test_a_token_is_an_aes_cmac(message, mac):
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    assert token(key, bytes.fromhex(message)).hex() == mac


def test_the_sessions_key_and_its_first_messages():
    assert token(SECRET, RANDOM) == KEY
    sealer = Sealer(KEY, RANDOM)
    assert [sealer.seal(b"\x05"), sealer.seal(b"\x53\x03Ada")] == [FIRST, SECOND]


def test_messages_open_in_their_order():
    opener = Opener(KEY, RANDOM)
    assert [opener.open(FIRST), opener.open(SECOND)] == [b"\x05", b"\x53\x03Ada"]


def test_one_that_was_passed_over_doubled_or_changed_does_not_open():
    opener = Opener(KEY, RANDOM)
    assert opener.open(SECOND) is None
    assert opener.open(FIRST) == b"\x05"
    assert opener.open(FIRST) is None
    assert opener.open(bytes([SECOND[0] ^ 1]) + SECOND[1:]) is None
    assert opener.open(b"") is None
    assert opener.open(SECOND) == b"\x53\x03Ada"


def test_another_connections_message_does_not_open():
    assert Opener(KEY, bytes(4)).open(FIRST) is None


def test_both_sides_agree_on_a_secret():
    ours, theirs = Agreement(), Agreement()
    assert ours.secret(theirs.public) == theirs.secret(ours.public)
    assert len(ours.secret(theirs.public)) == 16
    assert len(ours.public) == PUBLIC_BYTES


@pytest.mark.parametrize("public", [bytes(PUBLIC_BYTES), b"short", b""])
def test_a_public_key_that_is_no_point_is_refused(public):
    with pytest.raises(ProtocolError):
        Agreement().secret(public)
