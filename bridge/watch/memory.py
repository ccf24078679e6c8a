"""What the bridge remembers of one lock's operations, over restarts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from bridge.wire import state
from bridge.wire.device import BatteryStatus
from drivers.base import Method

Bolt = Literal["locked", "unlocked"]


class Place(BaseModel, frozen=True):
    """The last log entry that was taken account of; its time tells it from that of a log that began anew."""

    index: int
    at: datetime | None = None


class Pending(BaseModel, frozen=True):
    """An operation that was told without the log's word."""

    bolt: Bolt
    method: Method
    since: datetime
    until: datetime
    """It was done between these, by the bridge's wall clock."""
    attempt_id: str | None = None
    """Of the attempt that it was told with, if it was."""
    told: tuple[dict[str, Any], ...] = ()
    """The events that name the means, as they were told."""


class Own(BaseModel, frozen=True):
    """An operation of ours that the log may still tell of, and not as ours."""

    bolt: Bolt
    since: datetime
    until: datetime
    """It was done between these, by the bridge's wall clock."""


class Memory(BaseModel, frozen=True):
    """What outlives the bridge of one lock."""

    place: Place | None = None
    """None until the log was first read."""
    bolt: Bolt | None = None
    """Where the bolt stood, all that was told taken into account; None if that is not known."""
    seen_at: datetime | None = None
    """When it was last seen there."""
    pending: tuple[Pending, ...] = ()
    own: tuple[Own, ...] = ()
    emptied_at: datetime | None = None
    """When a log that forgets what is read of it was last found empty."""
    last_operation: state.LastOperation | None = None
    connected: bool | None = None
    """Whether the lock was last said to be available; None if nothing was said yet."""
    battery: BatteryStatus | None = None
    """What was last said of the battery."""

    @classmethod
    def restored(cls, kept: str | None) -> Memory:
        """Return it from what was kept; what cannot be read is as if there were nothing."""
        try:
            return cls.model_validate_json(kept or "{}")
        except ValidationError:
            return cls()
