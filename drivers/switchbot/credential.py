"""What the bridge keeps of a SwitchBot lock's key, and what the configuration may say of a lock."""

from __future__ import annotations

from string import hexdigits
from typing import TYPE_CHECKING

from pydantic import ConfigDict, SecretStr, ValidationError, field_validator

from drivers.base import Credential, KeyPart, Options, PairingError
from drivers.switchbot.protocol.crypto import KEY_BYTES
from drivers.switchbot.protocol.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_PARTS = (
    KeyPart("key_id", "Key id (2 hex digits)", secret=False),
    KeyPart("encryption_key", "Encryption key (32 hex digits)"),
    KeyPart("model", f"Model ({', '.join(Model)})", secret=False, needed=False),
)


def _is_hex(text: str, size: int) -> bool:
    return len(text) == 2 * size and set(text) <= set(hexdigits)


class SwitchBotCredential(Credential, frozen=True):
    """A key that SwitchBot's cloud made for one lock."""

    model_config = ConfigDict(hide_input_in_errors=True)

    key_id: str
    """The number by which the lock knows the key: one byte in hex."""
    encryption_key: SecretStr
    """16 bytes in hex."""
    model: Model | None = None
    """Which lock it is, if that was told with the key."""
    night_latch: bool | None = None
    """As in the options, if that was told with the key."""

    @field_validator("key_id")
    @classmethod
    def _is_a_byte(cls, key_id: str) -> str:
        if not _is_hex(key_id, 1):
            raise ValueError("not 1 byte in hex")
        return key_id.lower()

    @field_validator("encryption_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr) -> SecretStr:
        if not _is_hex(key.get_secret_value(), KEY_BYTES):
            raise ValueError("not 16 bytes in hex")
        return key

    @property
    def key_number(self) -> int:
        """The number by which the lock knows the key."""
        return int(self.key_id, 16)

    def key_bytes(self) -> bytes:
        """Return the key, 16 bytes."""
        return bytes.fromhex(self.encryption_key.get_secret_value())


class SwitchBotOptions(Options, frozen=True, extra="forbid"):
    """`[locks.switchbot]`."""

    model: Model | None = None
    """Which lock it is, which nothing that it says over a connection tells; by default what was told with its key."""
    night_latch: bool | None = None
    """Whether the lock is set in its app to pull the latch (European models), which it tells nobody.

    True: it can unlatch. False: there is no latch to pull, and it is unlocked by the ordinary command, which would.
    By default it is unlocked by the command that leaves a latch alone, and cannot unlatch."""
    door_sensor: bool = True
    """Whether the lock's magnet is mounted: without it the lock says for ever that the door is closed."""

    def completed(self, key: SwitchBotCredential) -> SwitchBotOptions:
        """Return these with what was told with the key, where they say nothing themselves."""
        latch = key.night_latch if self.night_latch is None else self.night_latch
        return SwitchBotOptions(model=self.model or key.model, night_latch=latch, door_sensor=self.door_sensor)


def key_from(parts: Mapping[str, str]) -> SwitchBotCredential:
    """Make the credential of what the owner gave.

    Raises:
        PairingError: a part does not have its form; the message names it and the form, never the value.
    """
    given = {part.name: parts.get(part.name, "").strip() for part in KEY_PARTS}
    try:
        return SwitchBotCredential(
            key_id=given["key_id"],
            encryption_key=SecretStr(given["encryption_key"]),
            model=_model(given["model"]),
        )
    except ValidationError as error:
        wrong = {str(detail["loc"][0]) for detail in error.errors(include_input=False, include_context=False)}
        asked = [part.prompt for part in KEY_PARTS if part.name in wrong]
        raise PairingError(f"The key does not have its form. It needs: {', '.join(asked)}.") from None


def _model(name: str) -> Model | None:
    """Return the model of that name; None if none was given.

    Raises:
        PairingError: there is no such model.
    """
    if not name:
        return None
    try:
        return Model(name.lower())
    except ValueError:
        raise PairingError(f"There is no such model. The models are: {', '.join(Model)}.") from None
