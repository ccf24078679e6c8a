import os

from drivers.nuki.protocol.codes import AuthorizationType
from drivers.nuki.virtual.keys import Keyring


def welcome(keyring, kind=AuthorizationType.APP):
    user = keyring.create(os.urandom(32), "Someone", kind, 1)
    keyring.store(user)
    return user


def test_every_authorization_has_its_own_number():
    keyring = Keyring(os.urandom)
    assert len({welcome(keyring).auth_id for _ in range(3)} | {keyring.fob.auth_id}) == 4


def test_a_new_bridge_evicts_the_old_one_and_nobody_else():
    keyring = Keyring(os.urandom)
    app, old = welcome(keyring), welcome(keyring, AuthorizationType.BRIDGE)
    new = welcome(keyring, AuthorizationType.BRIDGE)
    assert set(keyring.users) == {keyring.fob.auth_id, app.auth_id, new.auth_id}
    assert keyring.key_of(old.auth_id) is None
    assert keyring.key_of(new.auth_id) == new.key


def test_a_challenge_is_met_once():
    keyring = Keyring(os.urandom)
    user = welcome(keyring)
    nonce = keyring.challenge(user)
    assert keyring.redeem(user, nonce)
    assert not keyring.redeem(user, nonce)


def test_a_newer_challenge_voids_the_older():
    keyring = Keyring(os.urandom)
    user = welcome(keyring)
    old, _ = keyring.challenge(user), keyring.challenge(user)
    assert not keyring.redeem(user, old)


def test_a_wrong_answer_uses_the_challenge_up():
    keyring = Keyring(os.urandom)
    user = welcome(keyring)
    nonce = keyring.challenge(user)
    assert not keyring.redeem(user, bytes(32))
    assert not keyring.redeem(user, nonce)
