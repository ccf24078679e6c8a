"""Nuki smart locks, spoken to directly over Bluetooth (Nuki Smart Lock Bluetooth API 2.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from drivers.base import Action, Advertisement, Capabilities, Credential, Link, Options, PairingRequest, Sighting
from drivers.nuki.advert import sight
from drivers.nuki.credential import NukiCredential, NukiOptions
from drivers.nuki.pairing import pair
from drivers.nuki.protocol.codes import AuthorizationType
from drivers.nuki.session import NukiSession, open_session

if TYPE_CHECKING:
    from drivers.nuki.virtual import NukiTwin
    from drivers.virtual.peripheral import VirtualSettings

__all__ = ["NukiCredential", "NukiDriver", "NukiOptions", "NukiSession"]

TWIN_PIN = 1234
"""The security PIN of a virtual lock."""
TWIN_USER = "Lock Bridge"


class NukiDriver:
    """Nuki Smart Lock 1 to 4, Go, Ultra and fifth generation."""

    name = "nuki"
    capabilities = Capabilities(
        actions=frozenset(Action),
        door=True,
        battery_level=True,
        log=True,
        tagged_log=True,
        hint=True,
        auto_lock=True,
    )
    options: type[Options] = NukiOptions
    credential: type[Credential] = NukiCredential
    pairing_guide = (
        "Hold the lock's button for five seconds, until its light stays on; the Nuki app must allow Bluetooth pairing."
    )

    def capabilities_with(self, options: Options, credential: Credential | None) -> Capabilities:
        """Return what the lock can do: an action's tag is found again where one is left and the log can be read."""
        left = not isinstance(options, NukiOptions) or options.log_tag
        readable = not isinstance(credential, NukiCredential) or credential.pin is not None
        return replace(self.capabilities, tagged_log=self.capabilities.tagged_log and left and readable)

    def sight(self, advertisement: Advertisement) -> Sighting | None:
        """Tell whether the advertisement is from a Nuki lock."""
        return sight(advertisement)

    async def open(self, link: Link, credential: Credential, options: Options) -> NukiSession:
        """Start a session.

        Raises:
            DriverError: the device is no Nuki lock; `LinkLost`: the link is gone.
        """
        if not isinstance(credential, NukiCredential) or not isinstance(options, NukiOptions):
            raise TypeError("The Nuki driver takes its own credential and options.")
        return await open_session(link, credential, options)

    async def pair(self, link: Link, request: PairingRequest) -> NukiCredential:
        """Make the lock trust a new key of ours.

        Raises:
            PairingError: with what to do next; `LinkLost`: the link is gone or the lock is mute.
        """
        return await pair(link, request)

    def twin(
        self, address: str, name: str, settings: VirtualSettings, options: Options | None = None
    ) -> tuple[NukiTwin, NukiCredential]:
        """Make a virtual lock and the credential that opens it, as if they had been paired."""
        from drivers.nuki.virtual import NukiTwin

        del options  # they say nothing of what the lock is like
        twin = NukiTwin(address, name, settings, pin=TWIN_PIN)
        user, _ = twin.authorize(TWIN_USER, AuthorizationType.BRIDGE)
        return twin, NukiCredential(
            app_id=user.app_id,
            auth_id=user.auth_id,
            key=SecretStr(user.key.hex()),
            name=user.name,
            pin=SecretStr(str(twin.pin)),
            uuid=twin.keyring.uuid.hex(),
        )
