"""Signatures by Standard Webhooks 1.0 ("Webhook signatures", symmetric). Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret, as the specification has them."""


class Signer:
    """Signs what is posted."""

    def __init__(self, key: bytes) -> None:
        """Take the shared secret."""
        self._key = key

    @classmethod
    def parse(cls, secret: str) -> Signer:
        """Read a secret as it is written: `whsec_` and base64.

        Raises:
            ValueError: it is none; the message does not repeat it.
        """
        if not secret.startswith(PREFIX):
            raise ValueError(f'does not begin with "{PREFIX}"')
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f'is not base64 behind "{PREFIX}"') from None
        if not SHORTEST <= len(key) <= LONGEST:
            raise ValueError(f"holds {len(key)} bytes; {SHORTEST} to {LONGEST} are taken")
        return cls(key)

    def headers(self, event_id: str, at: datetime, body: bytes) -> dict[str, str]:
        """Return the headers of one try.

        Args:
            event_id: the same on every try.
            at: now; whoever verifies refuses what is old.
            body: what is posted.
        """
        timestamp = str(int(at.timestamp()))
        signed = f"{event_id}.{timestamp}.".encode() + body
        digest = hmac.digest(self._key, signed, hashlib.sha256)
        return {
            "webhook-id": event_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
