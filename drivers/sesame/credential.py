"""What the bridge keeps of a Sesame, what its owner can bring, and what the configuration may say of one."""

from __future__ import annotations

import base64
from string import hexdigits
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from pydantic import ConfigDict, SecretStr, field_validator

from drivers.base import ConsumingOptions, Credential, KeyPart, PairingError
from drivers.sesame.protocol.crypto import SECRET_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = KeyPart(
    "key",
    "Secret key (32 hex digits), or what the share QR code of the Sesame app says (ssm://UI?t=sk&...)",
)
KEY_GUIDE = (
    "In the Sesame app, open the lock, choose to share its key as the owner or as a manager, and read the QR code that "
    "it shows with any QR reader: its text begins with ssm://UI?. A guest's key does not open the lock over Bluetooth."
)

_SHARED_BYTES = 1 + SECRET_BYTES + 4 + 2 + 16
"""Product number, secret, server's public key, key index, the lock's UUID."""
_GUEST = "2"


class SesameCredential(Credential, frozen=True):
    """The secret of one lock, which all who operate it share."""

    model_config = ConfigDict(hide_input_in_errors=True)

    secret: SecretStr
    """16 bytes in hex."""

    @field_validator("secret")
    @classmethod
    def _is_a_secret(cls, secret: SecretStr) -> SecretStr:
        if not _is_hex(secret.get_secret_value()):
            raise ValueError("not 16 bytes in hex")
        return secret

    def secret_bytes(self) -> bytes:
        """Return the secret, 16 bytes."""
        return bytes.fromhex(self.secret.get_secret_value())


class SesameOptions(ConsumingOptions, frozen=True, extra="forbid"):
    """`[locks.sesame]`."""


def credential_of(secret: bytes) -> SesameCredential:
    """Return the credential with a secret of 16 bytes."""
    return SesameCredential(secret=SecretStr(secret.hex()))


def imported(parts: Mapping[str, str]) -> SesameCredential:
    """Make the credential of what the owner gave.

    Raises:
        PairingError: it is neither a key nor the text of a share QR code; the message never has the value.
    """
    text = parts.get(KEY.name, "").strip()
    if text.lower().startswith("ssm:"):
        return credential_of(_shared(text))
    if not _is_hex(text):
        raise PairingError(
            f'"{KEY.name}" is no key of a Sesame: it has 32 hex digits, or is the text of a share QR code (ssm://UI?...).'
        )
    return credential_of(bytes.fromhex(text))


def _shared(text: str) -> bytes:
    """Return the secret that the text of a share QR code has: `ssm://UI?t=sk&sk=BASE64&l=LEVEL&n=NAME`."""
    try:
        said = parse_qs(urlsplit(text).query)
        encoded = said.get("sk", [""])[0].replace(" ", "+")  # a plus sign that was not escaped
        shared = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        said, shared = {}, b""
    if said.get("l") == [_GUEST]:
        raise PairingError("This QR code shares a guest's key, which works in the app only. Share it as a manager.")
    if len(shared) < _SHARED_BYTES:
        raise PairingError(
            f'"{KEY.name}" is no whole share QR code: its part "sk" is not of its form. Read the code again.'
        )
    return shared[1 : 1 + SECRET_BYTES]


def _is_hex(text: str) -> bool:
    return len(text) == 2 * SECRET_BYTES and set(text) <= set(hexdigits)
