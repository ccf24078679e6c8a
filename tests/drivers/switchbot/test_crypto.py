import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.switchbot.protocol.crypto import IV_BYTES, CtrCipher, GcmCipher, Mode, cipher

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
COUNTER = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
ZEROS = bytes(16)
messages = st.binary(max_size=16)


def test_counter_mode_is_the_standards():
    """NIST SP 800-38A, F.5.1."""
    sealed = CtrCipher(KEY, COUNTER).seal(bytes.fromhex("6bc1bee22e409f96e93d7e117393172a"))
    assert sealed.hex() == "f0f1" + "874d6191b620e3261bef6864990db6ce"


def test_galois_counter_mode_is_the_standards():
    """McGrew and Viega, "The Galois/Counter Mode of Operation", test case 2."""
    sealed = GcmCipher(ZEROS, bytes(12)).seal(ZEROS)
    assert sealed.hex() == "ab6e" + "0388dace60b6a392f328c2b971b2fe78"


@given(st.sampled_from(Mode), st.binary(min_size=16, max_size=16), st.lists(messages, max_size=4))
def test_both_sides_of_a_session_understand_each_other(mode, iv, said):
    host, lock = (cipher(mode, KEY, iv[: IV_BYTES[mode]]) for _ in range(2))
    for message in said:
        assert lock.unseal(host.seal(message)) == message
        assert host.unseal(lock.seal(message)) == message
        host.advance()
        lock.advance()


def test_in_counter_mode_every_message_is_enciphered_alike():
    session = CtrCipher(KEY, COUNTER)
    first = session.seal(b"once")
    session.advance()
    assert session.seal(b"once") == first


def test_in_counter_mode_another_sessions_message_is_none():
    assert CtrCipher(KEY, COUNTER).unseal(CtrCipher(KEY, ZEROS).seal(b"locked")) is None


def test_in_galois_counter_mode_no_message_is_enciphered_as_the_one_before():
    session = GcmCipher(KEY, bytes(12))
    first = session.seal(b"once")
    session.advance()
    assert session.seal(b"once") != first


def test_the_iv_begins_again_after_the_last():
    session = GcmCipher(KEY, b"\xff" * 12)
    session.advance()
    assert session.seal(b"once") == GcmCipher(KEY, bytes(12)).seal(b"once")


class TestChecking:
    """Of the tag's two bytes in what the lock says."""

    @pytest.fixture
    def lock(self):
        return GcmCipher(KEY, bytes(12))

    def test_a_first_message_with_its_tag_has_all_others_checked(self, lock):
        host = GcmCipher(KEY, bytes(12))
        assert host.unseal(lock.seal(b"locked")) == b"locked"
        assert host.checked is True
        late = lock.seal(b"locked")
        host.advance()
        assert host.unseal(late) is None

    def test_a_changed_message_is_none_once_they_are_checked(self, lock):
        host = GcmCipher(KEY, bytes(12), checked=True)
        sealed = bytearray(lock.seal(b"locked"))
        sealed[3] ^= 1
        assert host.unseal(bytes(sealed)) is None

    def test_a_first_message_without_its_tag_leaves_them_unchecked(self, lock):
        host = GcmCipher(KEY, bytes(12))
        assert host.unseal(b"\0\0" + lock.seal(b"locked")[2:]) == b"locked"
        assert host.checked is False
        assert host.unseal(b"\0\0" + lock.seal(b"unlocked")[2:]) == b"unlocked"
