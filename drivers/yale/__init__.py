"""Yale and August smart locks, spoken to directly over Bluetooth.

The protocol is our own: a session runs on any anyio backend over the bridge's link, writes a command once, and takes
its outcome from what the lock reports.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pydantic import SecretStr

from drivers.base import (
    Action,
    Advertisement,
    Capabilities,
    Credential,
    Link,
    Options,
    PairingError,
    PairingRequest,
    Sighting,
)
from drivers.yale.advert import sight
from drivers.yale.credential import KEY_PARTS, YaleCredential, YaleOptions, key_from
from drivers.yale.handshake import open_session
from drivers.yale.protocol.crypto import KEY_BYTES
from drivers.yale.session import YaleSession

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.virtual.peripheral import VirtualSettings
    from drivers.yale.virtual import YaleTwin

__all__ = ["YaleCredential", "YaleDriver", "YaleOptions", "YaleSession"]

TWIN_SLOT = 1
"""Where a virtual lock has the bridge's key."""


class YaleDriver:
    """Locks of Yale Access and August. Unlatching is for the models that have a latch to pull; others refuse it."""

    name = "yale"
    capabilities = Capabilities(
        actions=frozenset(Action),
        door=True,
        battery_level=True,
        hint=True,
        auto_lock=True,
    )
    options: type[Options] = YaleOptions
    credential: type[Credential] = YaleCredential
    key_parts = KEY_PARTS
    key_guide = (
        "The lock's offline key and its slot come from the vendor's cloud: Home Assistant's Yale or August integration"
        " gets them, and a phone with the vendor's app keeps them."
    )
    key_needed = True

    def sight(self, advertisement: Advertisement) -> Sighting | None:
        """Tell whether the advertisement is from a Yale or August lock."""
        return sight(advertisement)

    async def open(self, link: Link, credential: Credential, options: Options) -> YaleSession:
        """Start a session: the handshake.

        Raises:
            DriverError: the device is no such lock, or does not take the key; `LinkLost`: the link is gone or the lock
                is mute.
        """
        if not isinstance(credential, YaleCredential) or not isinstance(options, YaleOptions):
            raise TypeError("The Yale driver takes its own credential and options.")
        return await open_session(link, credential)

    async def pair(self, link: Link, request: PairingRequest) -> YaleCredential:
        """Refuse: the lock trusts only keys that its vendor's cloud made.

        Raises:
            PairingError: always.
        """
        del link, request
        raise PairingError("The lock cannot be paired with: its offline key and slot have to be brought.")

    def key_from(self, parts: Mapping[str, str]) -> YaleCredential:
        """Make the credential of an offline key and its slot.

        Raises:
            PairingError: a part does not have its form.
        """
        return key_from(parts)

    def twin(
        self, address: str, name: str, settings: VirtualSettings, options: Options | None = None
    ) -> tuple[YaleTwin, YaleCredential]:
        """Make a virtual lock and the credential that opens it."""
        from drivers.yale.virtual import YaleTwin

        del options  # they say nothing of what the lock is like
        twin = YaleTwin(address, name, settings)
        key = twin.keys[TWIN_SLOT] = os.urandom(KEY_BYTES)
        return twin, YaleCredential(key=SecretStr(key.hex()), slot=TWIN_SLOT)
