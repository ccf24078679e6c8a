"""What the bridge keeps of a Yale or August lock, and what the configuration may say of one."""

from __future__ import annotations

from string import hexdigits
from typing import TYPE_CHECKING

from pydantic import ConfigDict, Field, SecretStr, field_validator

from drivers.base import ConsumingOptions, Credential, KeyPart, PairingError
from drivers.yale.protocol.crypto import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

LAST_SLOT = 0xFF

KEY_PARTS = (
    KeyPart("key", "Offline key (32 hexadecimal digits)"),
    KeyPart("slot", "Key slot (0 to 255)", secret=False),
)


class YaleCredential(Credential, frozen=True):
    """An offline key of one lock."""

    model_config = ConfigDict(hide_input_in_errors=True)

    key: SecretStr
    """16 bytes in hex."""
    slot: int = Field(ge=0, le=LAST_SLOT)
    """The number by which the lock knows the key."""

    @field_validator("key")
    @classmethod
    def _is_a_key(cls, key: SecretStr) -> SecretStr:
        digits = key.get_secret_value()
        if len(digits) != 2 * KEY_BYTES or not set(digits) <= set(hexdigits):
            raise ValueError("not 16 bytes in hex")
        return key

    def key_bytes(self) -> bytes:
        """Return the key, 16 bytes."""
        return bytes.fromhex(self.key.get_secret_value())


class YaleOptions(ConsumingOptions, frozen=True, extra="forbid"):
    """`[locks.yale]`."""


def key_from(parts: Mapping[str, str]) -> YaleCredential:
    """Make the credential of what the owner gave.

    Raises:
        PairingError: a part does not have its form.
    """
    key, slot = "".join(parts.get("key", "").split()), parts.get("slot", "").strip()
    if len(key) != 2 * KEY_BYTES or not set(key) <= set(hexdigits):
        raise PairingError("The `key` is not an offline key: it has to be 32 hexadecimal digits.")
    if not (slot.isascii() and slot.isdecimal() and int(slot) <= LAST_SLOT):
        raise PairingError("The `slot` is not a key slot: it has to be a number from 0 to 255.")
    return YaleCredential(key=SecretStr(key.lower()), slot=int(slot))
