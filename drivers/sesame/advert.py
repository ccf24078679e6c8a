"""What a Sesame's advertisements say ("Bluetooth LE Advertising"). Unauthenticated: hints, never facts about the bolt.

Manufacturer data: product number, a reserved byte, whether the lock is registered (bit 0), the lock's UUID. Nothing in
it tells that something changed.
"""

from __future__ import annotations

from drivers.base import Advertisement, Sighting
from drivers.sesame.protocol.codes import COMPANY, MODELS

ADVERT_BYTES = 19
_REGISTERED = 0x01


def sight(advertisement: Advertisement) -> Sighting | None:
    """Tell whether the advertisement is from a Sesame lock; one that is registered can not be registered again."""
    data = advertisement.manufacturer_data.get(COMPANY, b"")
    model = MODELS.get(data[0]) if len(data) >= ADVERT_BYTES else None
    if model is None:
        return None
    return Sighting(model, pairable=not data[2] & _REGISTERED)
