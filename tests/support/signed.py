"""Commands signed as a client signs them: from what is told of the lines, with another library than the bridge's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key

if TYPE_CHECKING:
    from bridge.keys.signing_keys import Made

CUSTOM_ID = "req_98aa221"


def in_seconds(seconds: float) -> str:
    """Return the time so far ahead, as commands have it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def signature(made: Made, *lines: str) -> str:
    """Sign lines with a key, whatever they are."""
    text = "".join(f"{line}\n" for line in lines).encode()
    if made.kept.algorithm == "hmac-sha256":
        value = hmac.new(bytes.fromhex(made.secret), text, hashlib.sha256).digest()
    else:
        value = load_pem_private_key(made.secret.encode(), None).sign(text)
    return f"{made.kept.id}:{base64.b64encode(value).decode()}"


def command(
    made: Made,
    lock_id: str,
    action: str = "unlock",
    *,
    bridge_id: str = "g1",
    custom_id: str = CUSTOM_ID,
    expires_at: str | None = None,
) -> dict[str, Any]:
    """Return a signed command; by default it is good for 20 s from now."""
    until = expires_at or in_seconds(20)
    lines = ("lock-bridge-command-v1", made.kept.id, bridge_id, lock_id, action, custom_id, until)
    return {"action": action, "custom_id": custom_id, "expires_at": until, "signature": signature(made, *lines)}


def payload(*args: Any, **fields: Any) -> bytes:
    """Return a signed command as it is sent."""
    return json.dumps(command(*args, **fields)).encode()
