import os
import struct

import pytest

from drivers.nuki.protocol.codes import AuthorizationType, Command, ErrorCode
from drivers.nuki.protocol.commands import Challenge, ErrorReport, RequestData, Status
from drivers.nuki.protocol.crypto import KeyPair, authenticator, shared_key
from drivers.nuki.protocol.frames import plain, sealed, take_sealed
from drivers.nuki.protocol.pairing_commands import (
    PAIRING_FROM_LOCK,
    Authenticator,
    AuthorizationData,
    AuthorizationId,
    AuthorizationInfo,
    Confirmation,
    PublicKey,
    UltraAuthorizationData,
    UltraAuthorizationId,
)
from drivers.nuki.virtual.keys import Keyring
from drivers.nuki.virtual.pairing import PairingDesk

PIN = 123456
PLACEHOLDER = 0x7FFFFFFF
REQUEST = RequestData(Command.PUBLIC_KEY)


class Applicant:
    """A host that pairs step by step."""

    def __init__(self, *, ultra=False, open_=True):
        self.keyring = Keyring(os.urandom)
        self.desk = PairingDesk(self.keyring, pin=(lambda: PIN) if ultra else None)
        self.desk.open = open_
        self.keys = KeyPair.generate()
        self.key = b""
        self.known = set(self.keyring.users)

    def ask(self, message):
        return self.understand(self.desk.answer(plain(message)))

    def understand(self, frame):
        return PAIRING_FROM_LOCK[int.from_bytes(frame[:2], "little")].decode(frame[2:-2])

    def exchange_keys(self):
        lock = self.ask(REQUEST)
        self.key = shared_key(self.keys.private, lock.key)
        challenge = self.ask(PublicKey(self.keys.public))
        return lock.key, challenge.nonce

    def prove(self):
        lock, nonce = self.exchange_keys()
        return self.ask(Authenticator.sign(self.key, self.keys.public, lock, nonce))

    def introduce(self, kind=AuthorizationType.APP):
        challenge = self.prove()
        self.nonce = bytes(range(32))
        return self.ask(
            AuthorizationData.sign(self.key, challenge.nonce, kind=kind, app_id=7, name="Bridge", nonce=self.nonce)
        )

    @property
    def welcomed(self):
        return [user for auth_id, user in self.keyring.users.items() if auth_id not in self.known]


def test_a_host_pairs_step_by_step():
    host = Applicant()
    given = host.introduce(AuthorizationType.BRIDGE)
    assert isinstance(given, AuthorizationId)
    signed = struct.pack("<I", given.auth_id) + given.uuid + given.nonce + host.nonce
    assert given.code == authenticator(host.key, signed)
    assert host.welcomed == []
    assert host.ask(Confirmation.sign(host.key, given.nonce, auth_id=given.auth_id)) == Status(0)
    (user,) = host.welcomed
    assert (user.auth_id, user.key, user.name) == (given.auth_id, host.key, "Bridge")
    assert (user.kind, user.app_id) == (AuthorizationType.BRIDGE, 7)
    assert not host.desk.open


def test_an_ultra_wants_its_pin_and_answers_in_cipher():
    host = Applicant(ultra=True)
    assert host.prove() == AuthorizationInfo(1)
    frame = host.desk.answer(sealed(UltraAuthorizationData(7, "Bridge", PIN), host.key, PLACEHOLDER))
    answer, _ = take_sealed(lambda _: host.key)(frame)
    assert answer.auth_id == PLACEHOLDER
    given = UltraAuthorizationId.decode(answer.payload)
    (user,) = host.welcomed
    assert (user.auth_id, user.name, user.app_id) == (given.auth_id, "Bridge", 7)
    assert given.uuid == host.keyring.uuid


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (UltraAuthorizationData(7, "Bridge", PIN + 1), ErrorCode.BAD_PIN),
        (RequestData(3), ErrorCode.BAD_PAIRING_PARAMETER),
        (AuthorizationData(b"", 0, 0, "", b""), ErrorCode.BAD_LENGTH),
    ],
)
def test_an_ultra_takes_nothing_but_its_pin(message, code):
    host = Applicant(ultra=True)
    host.prove()
    frame = host.desk.answer(sealed(message, host.key, PLACEHOLDER))
    assert host.understand(frame) == ErrorReport(code, Command.AUTHORIZATION_DATA)
    assert host.welcomed == []


def test_an_ultra_takes_its_pin_in_cipher_only():
    host = Applicant(ultra=True)
    host.prove()
    frame = host.desk.answer(plain(UltraAuthorizationData(7, "Bridge", PIN)))
    assert host.understand(frame).code == ErrorCode.BAD_AUTHENTICATOR
    assert host.welcomed == []


def test_a_lock_outside_its_pairing_mode_does_not_pair():
    answer = Applicant(open_=False).ask(REQUEST)
    assert answer == ErrorReport(ErrorCode.NOT_PAIRING, Command.REQUEST_DATA)


def test_a_wrong_proof_ends_the_pairing():
    host = Applicant()
    host.exchange_keys()
    assert host.ask(Authenticator(bytes(32))).code == ErrorCode.BAD_AUTHENTICATOR
    assert host.ask(PublicKey(host.keys.public)).code == ErrorCode.BAD_PAIRING_PARAMETER


def test_an_unsigned_introduction_is_refused():
    host = Applicant()
    host.prove()
    answer = host.ask(AuthorizationData(bytes(32), 0, 7, "Bridge", bytes(32)))
    assert answer == ErrorReport(ErrorCode.BAD_AUTHENTICATOR, Command.AUTHORIZATION_DATA)


@pytest.mark.parametrize("wrong", ["number", "proof"])
def test_a_wrong_confirmation_leaves_nobody_behind(wrong):
    host = Applicant()
    given = host.introduce()
    number = given.auth_id + (wrong == "number")
    nonce = bytes(32) if wrong == "proof" else given.nonce
    answer = host.ask(Confirmation.sign(host.key, nonce, auth_id=number))
    assert answer == ErrorReport(ErrorCode.BAD_AUTHENTICATOR, Command.CONFIRMATION)
    assert host.welcomed == []


def test_a_key_that_gives_no_secret_is_refused():
    host = Applicant()
    host.ask(REQUEST)
    assert host.ask(PublicKey(bytes(32))).code == ErrorCode.BAD_PAIRING_PARAMETER


def test_steps_come_in_their_order():
    host = Applicant()
    assert host.ask(PublicKey(host.keys.public)).code == ErrorCode.BAD_PAIRING_PARAMETER
    assert host.ask(RequestData(Command.CHALLENGE)).code == ErrorCode.BAD_PAIRING_PARAMETER


def test_a_host_may_begin_again():
    host = Applicant()
    host.exchange_keys()
    assert isinstance(host.prove(), Challenge)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (plain(REQUEST)[:-1] + b"\0", ErrorCode.BAD_CRC),
        (plain(Status(0)), ErrorCode.BAD_LENGTH),
        (b"", ErrorCode.BAD_CRC),
    ],
)
def test_garbage_is_told_as_such(frame, code):
    host = Applicant()
    assert host.understand(host.desk.answer(frame)).code == code
