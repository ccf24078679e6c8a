"""The lock's side of pairing, for a virtual Nuki lock ("Command usage examples", "Authorize app").

A host asks for the lock's public key, gives its own, proves that it has the shared key, says who it is, and
confirms. Whatever comes out of that order or does not verify ends the pairing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.nuki.protocol.codes import AuthorizationType, Command, ErrorCode
from drivers.nuki.protocol.commands import Challenge, ErrorReport, RequestData, Status, decode
from drivers.nuki.protocol.crypto import CHALLENGE_BYTES, NONCE_BYTES, shared_key
from drivers.nuki.protocol.errors import ProtocolError
from drivers.nuki.protocol.frames import HOST_PAIRING_SIZES, Frame, crc, plain, sealed, take_plain, take_sealed
from drivers.nuki.protocol.pairing_commands import (
    PAIRING_FROM_HOST,
    Authenticator,
    AuthorizationData,
    AuthorizationId,
    AuthorizationInfo,
    Confirmation,
    PublicKey,
    UltraAuthorizationData,
    UltraAuthorizationId,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.nuki.protocol.wire import Message
    from drivers.nuki.virtual.keys import Authorization, Keyring


class PairingError(Exception):
    """The lock refuses to go on."""

    def __init__(self, code: ErrorCode) -> None:
        """Refuse with the code of an Error Report."""
        super().__init__(code.name)
        self.code = code


class PairingDesk:
    """One pairing at a time. `open` is the lock's pairing mode."""

    def __init__(self, keyring: Keyring, *, pin: Callable[[], int] | None) -> None:
        """Pair as an Ultra does if `pin` tells the PIN that it asks for, else as the older locks do."""
        self.open = False
        self._keyring = keyring
        self._pin = pin
        self._take_plain = take_plain(HOST_PAIRING_SIZES)
        self._take_sealed = take_sealed(lambda _auth_id: self._key)
        self.reset()

    def reset(self) -> None:
        """Forget a pairing that was under way."""
        self._awaited: int = Command.REQUEST_DATA
        self._key = b""
        self._host = b""
        self._challenge = b""
        self._pending: Authorization | None = None

    def answer(self, data: bytes) -> bytes:
        """Take what a host wrote and return the frame that answers it."""
        asked = int.from_bytes(data[:2], "little")
        try:
            if self._pin is not None and self._awaited == Command.AUTHORIZATION_DATA:
                asked = Command.AUTHORIZATION_DATA
                return self._finish_ultra(data, self._pin())
            return plain(self._reply(self._parse(data)))
        except PairingError as error:
            self.reset()
            return plain(ErrorReport(error.code, asked))

    def _parse(self, data: bytes) -> Message:
        if crc(data[:-2]) != data[-2:]:
            raise PairingError(ErrorCode.BAD_CRC)
        taken = self._take_plain(data)
        if taken is None:
            raise PairingError(ErrorCode.BAD_LENGTH)
        frame, _ = taken
        if frame.command == Command.REQUEST_DATA:
            self.reset()
        message = decode(PAIRING_FROM_HOST, frame.command, frame.payload)
        if message is None or frame.command != self._awaited:
            raise PairingError(ErrorCode.BAD_PAIRING_PARAMETER)
        return message

    def _reply(self, message: Message) -> Message:
        match message:
            case RequestData(wanted=Command.PUBLIC_KEY):
                if not self.open:
                    raise PairingError(ErrorCode.NOT_PAIRING)
                self._awaited = Command.PUBLIC_KEY
                return PublicKey(self._keyring.identity.public)
            case PublicKey():
                return self._agree(message)
            case Authenticator():
                return self._check_proof(message)
            case AuthorizationData():
                return self._introduce(message)
            case Confirmation():
                return self._confirm(message)
            case _:
                raise PairingError(ErrorCode.BAD_PAIRING_PARAMETER)

    def _agree(self, message: PublicKey) -> Challenge:
        self._host = message.key
        try:
            self._key = shared_key(self._keyring.identity.private, message.key)
        except ProtocolError as error:
            raise PairingError(ErrorCode.BAD_PAIRING_PARAMETER) from error
        self._awaited = Command.AUTHENTICATOR
        return self._new_challenge()

    def _check_proof(self, message: Authenticator) -> Message:
        if not message.verify(self._key, self._host, self._keyring.identity.public, self._challenge):
            raise PairingError(ErrorCode.BAD_AUTHENTICATOR)
        self._awaited = Command.AUTHORIZATION_DATA
        return self._new_challenge() if self._pin is None else AuthorizationInfo(1)

    def _introduce(self, message: AuthorizationData) -> AuthorizationId:
        if not message.verify(self._key, self._challenge):
            raise PairingError(ErrorCode.BAD_AUTHENTICATOR)
        user = self._keyring.create(self._key, message.name, message.kind, message.app_id)
        self._pending = user
        self._awaited = Command.CONFIRMATION
        nonce = self._new_challenge().nonce
        return AuthorizationId.sign(
            self._key, message.nonce, auth_id=user.auth_id, uuid=self._keyring.uuid, nonce=nonce
        )

    def _confirm(self, message: Confirmation) -> Status:
        user = self._pending
        if user is None or message.auth_id != user.auth_id or not message.verify(self._key, self._challenge):
            raise PairingError(ErrorCode.BAD_AUTHENTICATOR)
        self._welcome(user)
        return Status(0)

    def _finish_ultra(self, data: bytes, pin: int) -> bytes:
        taken = self._take_sealed(data)
        if taken is None:
            raise PairingError(ErrorCode.BAD_AUTHENTICATOR)
        message = self._parse_ultra(taken[0])
        if message.pin != pin:
            raise PairingError(ErrorCode.BAD_PIN)
        user = self._keyring.create(self._key, message.name, AuthorizationType.APP, message.app_id)
        self._welcome(user)
        answer = UltraAuthorizationId(user.auth_id, self._keyring.uuid)
        return sealed(answer, user.key, taken[0].auth_id or 0, self._keyring.random(NONCE_BYTES))

    def _parse_ultra(self, frame: Frame) -> UltraAuthorizationData:
        if frame.command != Command.AUTHORIZATION_DATA:
            raise PairingError(ErrorCode.BAD_PAIRING_PARAMETER)
        try:
            return UltraAuthorizationData.decode(frame.payload)
        except ProtocolError as error:
            raise PairingError(ErrorCode.BAD_LENGTH) from error

    def _welcome(self, user: Authorization) -> None:
        self._keyring.store(user)
        self.open = False
        self.reset()

    def _new_challenge(self) -> Challenge:
        self._challenge = self._keyring.random(CHALLENGE_BYTES)
        return Challenge(self._challenge)
