"""A clock that a test sets by hand."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio

NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@dataclass
class FakeClock:
    """Stands still until told otherwise."""

    boot: float = 1000.0
    now: datetime = NOON
    synchronised: bool = True
    boot_id: str = "boot-1"

    def boottime(self) -> float:
        return self.boot

    def wall(self) -> datetime:
        return self.now

    def trusted(self) -> bool:
        return self.synchronised

    def pass_time(self, seconds: float) -> None:
        """Let boot time and wall time go on together."""
        self.boot += seconds
        self.now += timedelta(seconds=seconds)

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock, as a time service does."""
        self.now += timedelta(seconds=seconds)

    def reboot(self, boot_id: str = "boot-2", *, away: float = 0.0) -> None:
        """Begin another boot, whose boot time starts anew."""
        self.boot_id = boot_id
        self.boot = 10.0
        self.step_wall(away)


@dataclass
class RunningClock:
    """Goes with anyio's own time, real or virtual."""

    boot_id: str = "boot-1"
    synchronised: bool = True

    def boottime(self) -> float:
        return anyio.current_time()

    def wall(self) -> datetime:
        return NOON + timedelta(seconds=anyio.current_time())

    def trusted(self) -> bool:
        return self.synchronised


@dataclass
class MachineClock:
    """A machine's clock over anyio's own time: it may be wrong, be set, sleep and begin another boot."""

    began: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    synchronised: bool = False
    boot_id: str = "boot-1"
    slept: float = 0.0
    booted: float = 0.0

    def boottime(self) -> float:
        return anyio.current_time() + self.slept - self.booted

    def wall(self) -> datetime:
        return self.began + timedelta(seconds=anyio.current_time() + self.slept)

    def trusted(self) -> bool:
        return self.synchronised

    def step_wall(self, seconds: float, *, synchronised: bool = True) -> None:
        """Set the wall clock, as a time service does."""
        self.began += timedelta(seconds=seconds)
        self.synchronised = synchronised

    def suspend(self, seconds: float) -> None:
        """Sleep: boot time and wall time go on, anyio's time does not."""
        self.slept += seconds

    def reboot(self, boot_id: str = "boot-2", *, wall: datetime | None = None) -> None:
        """Begin another boot; without a battery the wall clock begins anew, too."""
        self.boot_id = boot_id
        self.booted = anyio.current_time() + self.slept
        self.synchronised = False
        if wall is not None:
            self.began += wall - self.wall()
