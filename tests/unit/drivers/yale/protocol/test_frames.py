"""Frames against vectors that were worked out by hand."""

import pytest

from drivers.yale.protocol.codes import Flag, Op, Secure, Setting, Subject, Variant
from drivers.yale.protocol.crypto import Block, Chain
from drivers.yale.protocol.errors import ProtocolError
from drivers.yale.protocol.frames import (
    Frame,
    SecureFrame,
    Timers,
    is_auto_lock,
    request,
    seal,
    status_of,
    unseal,
)

KEY = bytes(range(16))


@pytest.mark.parametrize(
    ("frame", "plain"),
    [
        (request(Op.UNLOCK), "ee0a0006" + "00" * 12 + "0200"),
        (request(Op.UNLOCK, Variant.UNLATCH), "ee0a00fc0a" + "00" * 11 + "0200"),
        (request(Op.LOCK), "ee0b0005" + "00" * 12 + "0200"),
        (request(Op.STATUS, Subject.LOCK), "ee02000c02" + "00" * 11 + "0200"),
        (
            request(Op.WRITE_SETTING, Setting.AUTO_LOCK, Timers(90, 90).encode()),
            "ee03003128" + "00" * 3 + "5a005a00" + "00" * 4 + "0200",
        ),
    ],
)
def test_a_request(frame, plain):
    assert frame.encode().hex() == plain
    assert Frame.decode(frame.encode()) == frame


def test_what_a_lock_says():
    frame = Frame.decode(bytes.fromhex("bb0b0038" + "00" * 11 + "1e" + "e400"))
    assert (frame.flag, frame.op, frame.about, frame.result) == (Flag.RESULT, Op.LOCK, 0, 0x1E)


@pytest.mark.parametrize(
    "plain",
    [
        "",
        "bb020000" + "00" * 13,
        "bb020000" + "00" * 14,  # checksum
        "cc020032" + "00" * 14,  # flag
        "bb020041" + "00" * 14 + "00",
    ],
)
def test_what_is_no_frame(plain):
    with pytest.raises(ProtocolError):
        Frame.decode(bytes.fromhex(plain))


def test_a_secure_frame():
    frame = SecureFrame(Secure.KEY_EXCHANGE, bytes.fromhex("0102030405060708"), 7)
    assert frame.encode().hex() == "01000000" + "0102030405060708" + "f9f7f5f3" + "0f07"
    assert SecureFrame.decode(frame.encode()) == frame


@pytest.mark.parametrize("plain", ["", "01" * 18, "01000000" + "00" * 8 + "ffffffff" + "0f"])
def test_what_is_no_secure_frame(plain):
    with pytest.raises(ProtocolError):
        SecureFrame.decode(bytes.fromhex(plain))


@pytest.mark.parametrize(
    ("about", "lock", "door"),
    [(Subject.LOCK, 5, None), (Subject.DOOR, None, 5), (Subject.BOTH, 5, 3), (Subject.BATTERY, None, None)],
)
def test_what_a_status_is_of(about, lock, door):
    frame = Frame.of(Flag.RESULT, Op.STATUS, {4: bytes([about]), 8: b"\x05\x03"})
    assert (status_of(frame, Subject.LOCK), status_of(frame, Subject.DOOR)) == (lock, door)


def test_the_timers():
    frame = request(Op.WRITE_SETTING, Setting.AUTO_LOCK, Timers(300, 65534).encode())
    assert Timers.decode(frame) == Timers(300, 65534)
    assert is_auto_lock(frame)
    assert not is_auto_lock(request(Op.WRITE_SETTING, 0x29))


class TestChain:
    def test_it_is_cbc_with_a_vector_of_zeros(self):
        """NIST SP 800-38A, F.2.1 has another vector; the first block differs by it alone."""
        key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
        vector = bytes(range(16))
        blocks = ["6bc1bee22e409f96e93d7e117393172a", "ae2d8a571e03ac9c9eb76fac45af8e51"]
        first = bytes(a ^ b for a, b in zip(bytes.fromhex(blocks[0]), vector, strict=True))
        chain = Chain(Block(key))
        assert chain.encrypt(first).hex() == "7649abac8119b246cee98e9b12e9197d"
        assert chain.encrypt(bytes.fromhex(blocks[1])).hex() == "5086cb9b507219ee95db113a917678b2"

    def test_single_blocks_are_ecb(self):
        """NIST SP 800-38A, F.1.1."""
        block = Block(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
        plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
        assert block.encrypt(plain).hex() == "3ad77bb40d7a3660a89ecaf32466ef97"
        assert block.decrypt(block.encrypt(plain)) == plain

    def test_what_is_lost_garbles_the_next_and_no_more(self):
        out, back = Chain(Block(KEY)), Chain(Block(KEY))
        sent = [seal(out, request(Op.STATUS, about).encode()) for about in range(5)]
        got = [unseal(back, data) for data in (sent[0], *sent[2:])]
        assert Frame.decode(got[0]).about == 0
        with pytest.raises(ProtocolError):
            Frame.decode(got[1])
        assert [Frame.decode(plain).about for plain in got[2:]] == [3, 4]

    @pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 19, 36])
    def test_what_is_of_another_length_leaves_it_as_it_is(self, length):
        out, back = Chain(Block(KEY)), Chain(Block(KEY))
        with pytest.raises(ProtocolError):
            unseal(back, bytes(length))
        assert Frame.decode(unseal(back, seal(out, request(Op.LOCK).encode()))) == request(Op.LOCK)
