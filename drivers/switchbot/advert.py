"""What a SwitchBot lock's advertisements say. Unauthenticated: hints, never facts about the bolt.

A lock advertises its whole state in clear, and a number that counts its changes. Both together are no more here than a
mark that differs once something changed; what changed is read over a connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import Sighting
from drivers.switchbot.protocol.adverts import COMPANY, SERVICE, model_of, state_of
from drivers.switchbot.protocol.models import TRAITS

if TYPE_CHECKING:
    from drivers.base import Advertisement


def sight(advertisement: Advertisement) -> Sighting | None:
    """Tell whether the advertisement is from a SwitchBot lock; no other device of SwitchBot's is one."""
    service_data = advertisement.service_data.get(SERVICE)
    model = model_of(service_data) if service_data else None
    if model is None:
        return None
    state = state_of(model, advertisement.manufacturer_data.get(COMPANY, b""))
    return Sighting(TRAITS[model].title, marks={"state": state.hex()} if state else {})
