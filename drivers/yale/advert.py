"""What a lock's advertisements say. Unauthenticated: hints, never facts about the bolt.

A lock advertises its service; a byte under the vendor's company number that is another after each change, in turn with
18 bytes that name it to the cloud; and, where HomeKit is in use, HomeKit's global state number, which counts changes
(`yalexs_ble.push.PushLock.update_advertisement`). HomeKit's encrypted notification says that something changed, too; it
cannot be read, and its payload differs with each repetition, so it is no mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import Advertisement, Sighting
from drivers.yale.protocol.codes import Uuid

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPANIES = (465, 302)
"""August, and Assa Abloy."""
APPLE = 76
MODEL = "Yale or August lock"

TOGGLE_BYTES = 1
CLOUD_BYTES = 18
"""A header of two bytes and the lock's identifier in the cloud."""
IGNORED = 0xFF
HOMEKIT = 0x06
HOMEKIT_BYTES = 15
"""Type, length, status flags, device id 6, category 2, global state number 2, configuration number, version."""
_STATE_NUMBER = slice(11, 13)


def sight(advertisement: Advertisement) -> Sighting | None:
    """Tell whether the advertisement is from a Yale or August lock.

    A HomeKit advertisement by itself is not: any accessory sends such.
    """
    vendor = _vendor(advertisement)
    if vendor is None and Uuid.SERVICE.value not in advertisement.service_uuids:
        return None
    return Sighting(MODEL, marks=dict(_marks(vendor or b"", advertisement.manufacturer_data.get(APPLE, b""))))


def _vendor(advertisement: Advertisement) -> bytes | None:
    """Return what stands under a company number, rather the byte than the identifier."""
    found = (advertisement.manufacturer_data.get(company, b"") for company in COMPANIES)
    return min((data for data in found if len(data) in (TOGGLE_BYTES, CLOUD_BYTES)), key=len, default=None)


def _marks(vendor: bytes, homekit: bytes) -> Iterator[tuple[str, str]]:
    if len(vendor) == TOGGLE_BYTES and vendor[0] != IGNORED:
        yield "toggle", str(vendor[0])
    if homekit[:1] == bytes([HOMEKIT]) and len(homekit) >= HOMEKIT_BYTES:
        yield "homekit", str(int.from_bytes(homekit[_STATE_NUMBER], "little"))
