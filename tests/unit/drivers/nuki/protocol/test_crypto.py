"""The vendor's own vectors (Nuki Smart Lock Bluetooth API, "Command usage examples")."""

import pytest
from nacl.bindings import crypto_scalarmult

from drivers.nuki.protocol.crypto import (
    KeyPair,
    authentic,
    authenticator,
    challenge,
    frame_nonce,
    seal,
    shared_key,
    unseal,
)
from drivers.nuki.protocol.errors import ProtocolError

PRIVATE = bytes.fromhex("8CAA54672307BFFDF5EA183FC607158D2011D008ECA6A1088614FF0853A5AA07")
PUBLIC = bytes.fromhex("F88127CCF48023B5CBE9101D24BAA8A368DA94E8C2E3CDE2DED29CE96AB50C15")
LOCK_PUBLIC = bytes.fromhex("2FE57DA347CD62431528DAAC5FBB290730FFF684AFC4CFC2ED90995F58CB3B74")
DH = bytes.fromhex("0DE40B998E0E330376F2D2FC4892A6931E25055FD09F054F99E93FECD9BA611E")
SHARED = bytes.fromhex("217FCB0F18CAF284E9BDEA0B94B83B8D10867ED706BFDEDBD2381F4CB3B8F730")


def test_the_public_key_is_that_of_the_private_one():
    assert KeyPair.from_private(PRIVATE).public == PUBLIC


def test_the_shared_key_is_derived_from_the_key_agreement():
    assert crypto_scalarmult(PRIVATE, LOCK_PUBLIC) == DH
    assert shared_key(PRIVATE, LOCK_PUBLIC) == SHARED


def test_both_sides_derive_the_same_key():
    ours, theirs = KeyPair.generate(), KeyPair.generate()
    assert shared_key(ours.private, theirs.public) == shared_key(theirs.private, ours.public)


@pytest.mark.parametrize("public", [bytes(32), b"short"])
def test_a_public_key_that_gives_no_secret_is_refused(public):
    with pytest.raises(ProtocolError):
        shared_key(PRIVATE, public)


def test_an_authenticator_covers_every_byte_and_needs_the_key():
    code = authenticator(SHARED, b"ab", b"c")
    assert authentic(code, SHARED, b"abc")
    assert not authentic(code, SHARED, b"abd")
    assert not authentic(code, DH, b"abc")


def test_a_box_opens_only_untouched_and_with_its_key():
    nonce = frame_nonce()
    box = seal(SHARED, nonce, b"plain")
    assert unseal(SHARED, nonce, box) == b"plain"
    assert unseal(DH, nonce, box) is None
    assert unseal(SHARED, nonce, bytes([box[0] ^ 1]) + box[1:]) is None


def test_nonces_are_fresh_and_long_enough():
    assert len(challenge()) == 32
    assert len(frame_nonce()) == 24
    assert challenge() != challenge()
    assert frame_nonce() != frame_nonce()


def test_a_private_key_is_not_shown():
    assert PRIVATE.hex() not in repr(KeyPair.from_private(PRIVATE)).lower()
    assert repr(PRIVATE) not in repr(KeyPair.from_private(PRIVATE))
