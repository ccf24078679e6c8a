"""What tests of the watcher do to a lock, and wait for."""

from __future__ import annotations

import anyio

from drivers.base import Action
from drivers.nuki.protocol.codes import AuthorizationType
from drivers.virtual.operation import Operator, Origin
from tests.support.house import FRONT, until


async def settled(life):
    """Return once the lock's state is known and its first link let go."""
    await until(lambda: life.device()["online"])
    await anyio.sleep(20)


async def told(life, number=1):
    """Return the operations once so many are told, and nothing more is for a while."""
    await until(lambda: len(operations(life)) >= number)
    await anyio.sleep(60)
    return operations(life)


def operations(life):
    return of(life, "lock.action_completed")


def of(life, *event_types):
    return [event for event in life.all_events if event["event_type"] in event_types]


def phone(house, action=Action.UNLOCK):
    """Let somebody's phone operate the front door."""
    user, _ = house.twins[FRONT].authorize("Ada's phone", AuthorizationType.APP)
    house.lock.operate(action, Operator(Origin.BLUETOOTH, user.auth_id, user.name))


def without_pin(house):
    house.credentials[FRONT] = house.credentials[FRONT].model_copy(update={"pin": None})


def with_pin(house):
    house.credentials[FRONT] = type(house.credentials[FRONT]).model_validate(
        house.credentials[FRONT].stored() | {"pin": str(house.twins[FRONT].pin)}
    )
