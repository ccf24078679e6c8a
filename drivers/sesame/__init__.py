"""Sesame smart locks of CANDY HOUSE that speak OS3, spoken to directly over Bluetooth ("SesameOS3" documents)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import Action, Advertisement, Capabilities, Credential, Link, Options, PairingRequest, Sighting
from drivers.sesame.advert import sight
from drivers.sesame.channel import open_channel
from drivers.sesame.credential import KEY, KEY_GUIDE, SesameCredential, SesameOptions, credential_of, imported
from drivers.sesame.session import SesameSession, open_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.sesame.virtual import SesameTwin
    from drivers.virtual.peripheral import VirtualSettings

__all__ = ["SesameCredential", "SesameDriver", "SesameOptions", "SesameSession"]


class SesameDriver:
    """Sesame 5, 5 Pro, 5 US, 6 and 6 Pro."""

    name = "sesame"
    capabilities = Capabilities(
        actions=frozenset({Action.LOCK, Action.UNLOCK}),
        battery_level=True,
        auto_lock=True,
    )
    options: type[Options] = SesameOptions
    credential: type[Credential] = SesameCredential
    bluez_needed = (5, 82)
    bluez_reason = "earlier ones do not see the services of a Sesame 5 or 6"
    key_parts = (KEY,)
    key_guide = KEY_GUIDE
    key_needed = False

    @property
    def pairing_guide(self) -> str:
        """How a lock is made ready to register."""
        from drivers.sesame.pairing import GUIDE

        return GUIDE

    def sight(self, advertisement: Advertisement) -> Sighting | None:
        """Tell whether the advertisement is from a Sesame lock."""
        return sight(advertisement)

    async def open(self, link: Link, credential: Credential, options: Options) -> SesameSession:
        """Log in.

        Raises:
            DriverError: the device is no Sesame, or does not accept the key; `LinkLost`: the link is gone or the lock
                is mute.
        """
        if not isinstance(credential, SesameCredential) or not isinstance(options, SesameOptions):
            raise TypeError("The Sesame driver takes its own credential and options.")
        channel = await open_channel(link)
        try:
            return await open_session(channel, credential.secret_bytes())
        except BaseException:
            await channel.aclose()
            raise

    async def pair(self, link: Link, request: PairingRequest) -> SesameCredential:
        """Register with a reset lock. A Sesame keeps no name of who did.

        Raises:
            PairingError: with what to do next; `LinkLost`: the link is gone or the lock is mute.
        """
        from drivers.sesame.pairing import register

        del request
        return await register(link)

    def key_from(self, parts: Mapping[str, str]) -> SesameCredential:
        """Make the credential of a secret key, or of the text of a share QR code.

        Raises:
            PairingError: it is neither.
        """
        return imported(parts)

    def twin(
        self, address: str, name: str, settings: VirtualSettings, options: Options | None = None
    ) -> tuple[SesameTwin, SesameCredential]:
        """Make a virtual lock and the credential that opens it, as if it had been registered."""
        from drivers.sesame.virtual import SesameTwin

        del options  # they say nothing of what the lock is like
        twin = SesameTwin(address, name, settings)
        return twin, credential_of(twin.register())
