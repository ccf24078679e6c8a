"""The example of a broker with TLS, client certificates and a list of who may do what, as it stands in examples/."""

from __future__ import annotations

import ssl
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.mosquitto import Mosquitto

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

EXAMPLE = Path(__file__).parents[2] / "examples" / "mosquitto"
INSTALLED = "/etc/mosquitto/lock-bridge"
HOST = "127.0.0.1"


def make_certificates(folder: Path, *clients: str) -> None:
    """Make an authority, a broker's certificate for this machine and one for each client, in a folder."""
    subprocess.run([EXAMPLE / "make-certificates", folder, HOST, *clients], check=True, capture_output=True)


def client_context(certificates: Path, name: str | None) -> ssl.SSLContext:
    """Return how a client speaks TLS with its certificate, or without one."""
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    if name is not None:
        context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    return context


@asynccontextmanager
async def example(folder: Path, certificates: Path, more: str = "") -> AsyncGenerator[Mosquitto]:
    """Run the broker of the example; all that differs is where it is installed.

    Args:
        folder: for its files.
        certificates: as `make_certificates` made them.
        more: lines for the list of who may do what.
    """
    acl = folder / "lock-bridge.acl"
    acl.write_text((EXAMPLE / "lock-bridge.acl").read_text() + more)
    config = (EXAMPLE / "lock-bridge.conf").read_text()
    config = config.replace(f"{INSTALLED}/lock-bridge.acl", str(acl)).replace(INSTALLED, str(certificates))
    assert INSTALLED not in config
    led = config.replace("listener 8883", f"listener {{port}} {HOST}")
    assert led != config
    async with Mosquitto(folder, led, listener="") as broker:
        yield broker
