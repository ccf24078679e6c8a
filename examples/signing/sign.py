"""Prints a signed command, good for 20 seconds: sign.py KEY_FILE KEY_ID BRIDGE LOCK ACTION."""

import base64
import json
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key


def signed(file: str, key: str, bridge: str, lock: str, action: str) -> str:
    """Return the command as JSON."""
    custom_id = secrets.token_hex(16)
    expires_at = (datetime.now(UTC) + timedelta(seconds=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = ("lock-bridge-command-v1", key, bridge, lock, action, custom_id, expires_at)
    text = "".join(f"{line}\n" for line in lines).encode()
    signature = base64.b64encode(load_pem_private_key(Path(file).read_bytes(), None).sign(text)).decode()
    command = {"action": action, "custom_id": custom_id, "expires_at": expires_at, "signature": f"{key}:{signature}"}
    return json.dumps(command)


if __name__ == "__main__":
    print(signed(*sys.argv[1:]))
