"""What a Nuki lock's advertisements say. Unauthenticated: hints, never facts about the bolt.

An ordinary advertisement is an iBeacon with the keyturner service's UUID; the lowest bit of its TX power byte says
that the state changed since it was last read with the authorization of a bridge; an app's reads leave it set. Pairing
mode is announced by service data of a pairing service. Locks that speak HomeKit interleave its advertisements, under
the same company number.
"""

from __future__ import annotations

from uuid import UUID

from drivers.base import Advertisement, Sighting
from drivers.nuki.protocol.codes import Uuid

APPLE = 76
BEACON_BYTES = 23
"""Type, length, UUID 16, major 2, minor 2, TX power 1."""
_LOCK_BEACON = b"\x02\x15" + UUID(Uuid.KEYTURNER_SERVICE).bytes

MODEL = "Nuki Smart Lock"
ULTRA_MODEL = "Nuki Smart Lock Ultra"
"""Ultra and fifth generation; only pairing mode tells them from the others."""
_PAIRING_MODELS = {Uuid.PAIRING_SERVICE.value: MODEL, Uuid.ULTRA_PAIRING_SERVICE.value: ULTRA_MODEL}
_SERVICES = (Uuid.INIT_SERVICE.value, Uuid.KEYTURNER_SERVICE.value)


def sight(advertisement: Advertisement) -> Sighting | None:
    """Tell whether the advertisement is from a Nuki lock. A Nuki Opener is none: it has no bolt."""
    for service, model in _PAIRING_MODELS.items():
        if service in advertisement.service_data:
            return Sighting(model, pairable=True)
    beacon = advertisement.manufacturer_data.get(APPLE, b"")
    if len(beacon) == BEACON_BYTES and beacon.startswith(_LOCK_BEACON):
        return Sighting(MODEL, pairable=False, changed=bool(beacon[-1] & 1))
    if any(service in advertisement.service_uuids for service in (*_SERVICES, *_PAIRING_MODELS)):
        return Sighting(MODEL)
    return None
