"""Commands and attempts as tests need them: complete, with the fields that matter given."""

from datetime import datetime
from uuid import UUID

from bridge.attempt import State
from bridge.model import Attempt, Command
from bridge.wire.seam import Identity
from drivers.base import Action, Method
from tests.support.clock import NOON

ATTEMPT_ID = UUID("5f4e3d2c-1b0a-4f8e-9d6c-5b4a3c2d1e0f")
IDENTITY = Identity(
    workspace_id=UUID("0f0e0d0c-0b0a-4908-8706-050403020100"),
    connected_account_id=UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"),
    bridge_id="g1",
)


def make_attempt(state: State = State.ACCEPTED, **fields) -> Attempt:
    """An attempt at unlocking the front door."""
    ended: datetime | None = NOON if state.terminal else None
    known = {
        "seq": 1,
        "action_id": "act_0123456789abcdef",
        "attempt_id": ATTEMPT_ID,
        "lock_id": "front_door",
        "action": Action.UNLOCK,
        "method": Method.REMOTE_API,
        "custom_id": None,
        "boot_id": "boot-1",
        "deadline": 1030.0,
        "accepted_at": NOON,
        "ended_at": ended,
        "state": state,
    }
    return Attempt(**(known | fields))


def make_command(action: Action = Action.UNLOCK, **fields) -> Command:
    """A command to unlock the front door."""
    known = {"lock_id": "front_door", "action": action, "method": Method.REMOTE_API, "arrived": 1000.0}
    return Command(**(known | fields))
