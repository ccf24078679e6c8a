"""Which locks are in range: what every installed driver recognises on the air."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bridge import catalog

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream

    from drivers.base import Advertisement, Driver


@dataclass(frozen=True, slots=True)
class Sighted:
    """A lock in range."""

    driver: str
    model: str
    address: str
    name: str | None
    rssi: int | None
    """dBm."""
    pairable: bool | None
    """None where its advertisement does not tell."""
    lock_id: str | None = None
    """As which it is configured, if it is."""

    def told(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def all_drivers() -> tuple[dict[str, Driver], list[str]]:
    """Load every installed driver; return why the others cannot be, too. Importing vendors' libraries takes a while."""
    drivers: dict[str, Driver] = {}
    missing: list[str] = []
    for name in catalog.installed():
        try:
            drivers[name] = catalog.load(name)
        except catalog.DriverMissing as error:
            missing.append(str(error))
    return drivers, missing


async def sightings(
    advertisements: ObjectReceiveStream[Advertisement], drivers: Mapping[str, Driver], configured: Mapping[str, str]
) -> AsyncGenerator[Sighted]:
    """Give out each lock when it is heard, and again whenever what is heard of it differs.

    Args:
        advertisements: what is on the air.
        drivers: by name; the first that recognises a lock has it.
        configured: the ids of the configured locks, by address.
    """
    last: dict[str, Sighted] = {}
    async for advertisement in advertisements:
        lock = recognise(advertisement, drivers, configured)
        if lock is not None and last.get(lock.address) != lock:
            last[lock.address] = lock
            yield lock


def recognise(
    advertisement: Advertisement, drivers: Mapping[str, Driver], configured: Mapping[str, str]
) -> Sighted | None:
    """Return the lock that an advertisement is from; None if no driver knows it."""
    for name, driver in drivers.items():
        if sighting := driver.sight(advertisement):
            return Sighted(
                name,
                sighting.model,
                advertisement.address,
                advertisement.name,
                advertisement.rssi,
                sighting.pairable,
                configured.get(advertisement.address),
            )
    return None
