"""The frames that carry a session: one value of a characteristic each, at most 20 bytes.

    host   57 00 00 00 0F 21 03 KID     asks for an IV
    lock   01 xx MODE xx IV...          gives it: 16 bytes, or 12 and 4 of padding
    host   57 KID MM MM sealed          a command, its first byte 57 left off, behind its mark
    lock   STATUS KID MM MM sealed      answers it; 0F for STATUS reports unasked
    lock   STATUS                       refuses without more

An answer does not name its command: answers come in the order of the commands, one each.

Source: PySwitchbot 3.1.0, `devices/device.py`; the captures named in `crypto`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from drivers.switchbot.protocol.crypto import IV_BYTES, MARK_BYTES, Mode
from drivers.switchbot.protocol.errors import DONE, ProtocolError, Status

if TYPE_CHECKING:
    from drivers.switchbot.protocol.crypto import Cipher


class Uuid(StrEnum):
    """SwitchBot's GATT service and characteristics (SwitchBot BLE API)."""

    SERVICE = "cba20d00-224d-11e6-9fb8-0002a5d5c51b"
    WRITE = "cba20002-224d-11e6-9fb8-0002a5d5c51b"
    """Takes writes without response."""
    NOTIFY = "cba20003-224d-11e6-9fb8-0002a5d5c51b"


HEAD = 0x57
"""The first byte of every command."""
FRAME_BYTES = 20
_ASK_IV = bytes.fromhex("570000000f2103")
_HEADER_BYTES = 2
_IV_AT = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What the lock says of a command."""

    status: int
    data: bytes = b""

    @property
    def done(self) -> bool:
        """Whether it took the command."""
        return self.status in DONE

    @property
    def low_battery(self) -> bool:
        """Whether it says that its battery is low."""
        return self.status == Status.LOW_BATTERY


@dataclass(frozen=True, slots=True)
class Push:
    """What the lock says unasked: its state, as `report` reads it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Grant:
    """An IV, and what it is for."""

    mode: Mode
    iv: bytes


def ask_iv(key_id: int) -> bytes:
    """Return the frame that asks for an IV for a key."""
    return _ASK_IV + bytes((key_id,))


def asked_iv(frame: bytes) -> int | None:
    """Return the key's number if the frame asks for an IV."""
    return frame[-1] if len(frame) == len(_ASK_IV) + 1 and frame.startswith(_ASK_IV) else None


def command(message: bytes, key_id: int, cipher: Cipher) -> bytes:
    """Return the frame of a command, whose own first byte is left off."""
    return bytes((HEAD, key_id)) + cipher.seal(message)


def commanded(frame: bytes, key_id: int, cipher: Cipher) -> bytes | None:
    """Return the command that a frame carries; None if it is not for this key and this session."""
    return cipher.unseal(frame[_HEADER_BYTES:]) if frame[:_HEADER_BYTES] == bytes((HEAD, key_id)) else None


def grant(mode: Mode, iv: bytes) -> bytes:
    """Return the frame that gives an IV."""
    return bytes((Status.OK, 0, mode, 0)) + iv.ljust(FRAME_BYTES - _IV_AT, b"\0")


def granted(frame: bytes) -> Grant:
    """Read the answer to `ask_iv`.

    Raises:
        ProtocolError: it is none, or gives no IV that serves.
    """
    if len(frame) != FRAME_BYTES or frame[0] not in DONE:
        raise ProtocolError("no IV")
    try:
        mode = Mode(frame[2])
    except ValueError:
        raise ProtocolError("an unknown mode of encryption") from None
    return Grant(mode, frame[_IV_AT : _IV_AT + IV_BYTES[mode]])


def said(status: int, data: bytes, key_id: int, cipher: Cipher) -> bytes:
    """Return the frame in which a lock says something."""
    return bytes((status, key_id)) + cipher.seal(data)


def heard(frame: bytes, key_id: int, cipher: Cipher) -> Answer | Push | None:
    """Read what a lock says in a session; None for what is none of it."""
    if 0 < len(frame) < _HEADER_BYTES + MARK_BYTES:
        bare = frame[0]
        return None if bare in (*DONE, Status.PUSH) else Answer(bare)
    if len(frame) > FRAME_BYTES or frame[1:2] != bytes((key_id,)):
        return None
    data = cipher.unseal(frame[_HEADER_BYTES:])
    if data is None:
        return None
    return Push(data) if frame[0] == Status.PUSH else Answer(frame[0], data)
