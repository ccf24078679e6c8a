"""What the bridge keeps of a paired Nuki lock, and what the configuration may say of one."""

from __future__ import annotations

from string import hexdigits
from typing import Self

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from drivers.base import Credential, Options
from drivers.nuki.protocol.crypto import KEY_BYTES
from drivers.nuki.protocol.wire import Pin

UINT32 = 0xFFFF_FFFF
WIDEST_PIN = 0xFFFF
"""Of all locks but the Ultra and the fifth generation."""


class NukiCredential(Credential, frozen=True):
    """The bridge's authorization at one lock."""

    model_config = ConfigDict(hide_input_in_errors=True)

    app_id: int = Field(ge=0, le=UINT32)
    """The number by which this bridge introduced itself."""
    auth_id: int = Field(ge=0, le=UINT32)
    """The number by which the lock knows it."""
    key: SecretStr
    """The shared key, 32 bytes in hex."""
    name: str = ""
    """The bridge's name in the lock's list of users and in its log."""
    pin: SecretStr | None = None
    """The security PIN, in decimal digits; None if it was not given, and the log cannot be read."""
    ultra: bool = False
    """Whether the lock is an Ultra or of the fifth generation, whose PINs are wider."""
    uuid: str = ""
    """The lock's own identifier, in hex."""

    @field_validator("key")
    @classmethod
    def _is_a_key(cls, key: SecretStr) -> SecretStr:
        digits = key.get_secret_value()
        if len(digits) != 2 * KEY_BYTES or not set(digits) <= set(hexdigits):
            raise ValueError("not 32 bytes in hex")
        return key

    @model_validator(mode="after")
    def _has_a_pin_that_travels(self) -> Self:
        widest = UINT32 if self.ultra else WIDEST_PIN
        if self.pin is not None and not (
            self.pin.get_secret_value().isdecimal() and int(self.pin.get_secret_value()) <= widest
        ):
            raise ValueError("not a security PIN")
        return self

    def key_bytes(self) -> bytes:
        """Return the shared key, 32 bytes."""
        return bytes.fromhex(self.key.get_secret_value())

    def wire_pin(self) -> Pin | None:
        """Return the security PIN as it travels."""
        return None if self.pin is None else Pin(int(self.pin.get_secret_value()), wide=self.ultra)


class NukiOptions(Options, frozen=True, extra="forbid"):
    """`[locks.nuki]`."""

    log_tag: bool = True
    """Whether an action leaves its tag behind the bridge's name in the lock's log, where its outcome can be proved
    later. Needs the security PIN; without it the log cannot be read, and no tag is left."""
