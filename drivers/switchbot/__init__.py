"""SwitchBot's locks, spoken to directly over Bluetooth.

The protocol is the driver's own, for the outcome is to be what the lock itself reported, and the vendor's library takes
the lock's receipt of a command for its success, sends a command again after it was written, and goes on with the cipher
of a connection that is gone. Its tables of models and frames are what the protocol is known from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
from drivers.switchbot.advert import sight
from drivers.switchbot.credential import KEY_PARTS, SwitchBotCredential, SwitchBotOptions, key_from
from drivers.switchbot.protocol.models import TRAITS, Model
from drivers.switchbot.session import SwitchBotSession, open_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.switchbot.virtual import SwitchBotTwin
    from drivers.virtual.peripheral import VirtualSettings

__all__ = ["SwitchBotCredential", "SwitchBotDriver", "SwitchBotOptions", "SwitchBotSession"]


class SwitchBotDriver:
    """SwitchBot Lock, Lock Lite, Pro, Ultra and Vision."""

    name = "switchbot"
    capabilities = Capabilities(
        actions=frozenset(Action),
        door=True,
        battery_level=True,
        hint=True,
    )
    options: type[Options] = SwitchBotOptions
    credential: type[Credential] = SwitchBotCredential
    key_parts = KEY_PARTS
    key_guide = (
        "SwitchBot's cloud made the key when the lock was added in its app. The script get_encryption_key.py of the"
        " PySwitchbot project prints key id and key, given the lock's address and the account; they change when the"
        " lock is added anew."
    )
    key_needed = True

    def capabilities_with(self, options: Options, credential: Credential | None) -> Capabilities:
        """Return what the model can do, with the magnet and the latch that are told of."""
        told = _own(options)
        if isinstance(credential, SwitchBotCredential):
            told = told.completed(credential)
        can = self.capabilities
        return replace(
            can,
            actions=can.actions - {Action.UNLATCH} if told.night_latch is False else can.actions,
            door=told.door_sensor and (told.model is None or TRAITS[told.model].tells_door),
            battery_level=told.model is None or TRAITS[told.model].battery,
        )

    def sight(self, advertisement: Advertisement) -> Sighting | None:
        """Tell whether the advertisement is from a SwitchBot lock."""
        return sight(advertisement)

    async def open(self, link: Link, credential: Credential, options: Options) -> SwitchBotSession:
        """Start a session.

        Raises:
            DriverError: the device is no SwitchBot lock, or refused the key; `LinkLost`: the link is gone or the lock
                is mute.
        """
        if not isinstance(credential, SwitchBotCredential) or not isinstance(options, SwitchBotOptions):
            raise TypeError("The SwitchBot driver takes its own credential and options.")
        return await open_session(link, credential, options)

    async def pair(self, link: Link, request: PairingRequest) -> SwitchBotCredential:
        """Refuse: the lock trusts no key but the one that SwitchBot's cloud made.

        Raises:
            PairingError: always.
        """
        del link, request
        raise PairingError(f"A SwitchBot lock takes no key over Bluetooth: its own has to be brought. {self.key_guide}")

    def key_from(self, parts: Mapping[str, str]) -> SwitchBotCredential:
        """Make the credential of what the owner gave.

        Raises:
            PairingError: a part does not have its form; the message names it and the form, never the value.
        """
        return key_from(parts)

    def twin(
        self, address: str, name: str, settings: VirtualSettings, options: Options | None = None
    ) -> tuple[SwitchBotTwin, SwitchBotCredential]:
        """Make a virtual lock, of the model that the options name, and the credential that opens it.

        It pulls the latch unless the options say that there is none to pull.
        """
        from drivers.switchbot.virtual import SwitchBotTwin

        told = _own(options or SwitchBotOptions())
        model = told.model or Model.LOCK
        twin = SwitchBotTwin(address, name, settings, model=model, latch=told.night_latch is not False)
        return twin, twin.credential()


def _own(options: Options) -> SwitchBotOptions:
    if not isinstance(options, SwitchBotOptions):
        raise TypeError("The SwitchBot driver takes its own options.")
    return options
