"""The names of topics. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bridge.errors import Code, Refused

QUESTIONS = ("action_attempts/get", "action_attempts/list", "locks/list", "locks/get", "events/list")
SIMULATIONS = ("locks/simulate/keypad_code_entry", "locks/simulate/manual_lock_via_keypad")
METHODS = QUESTIONS + SIMULATIONS
"""What can be asked over `rpc/`: nothing that does something to a real lock, since a question may be a stale one."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a topic that the bridge listens to is for."""

    kind: Literal["action", "rpc", "barrier"]
    name: str
    """The lock's id, the method, or the barrier's mark."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one bridge, all below its base."""

    base: str
    """`{prefix}/{bridge_id}`."""
    response_prefixes: Sequence[str]
    """Where replies may be sent to."""
    discovery_prefix: str | None = None
    """Below which the bridge announces its locks, if it does."""

    @property
    def actions(self) -> str:
        """The filter for commands."""
        return f"{self.base}/locks/+/actions"

    @property
    def rpc(self) -> tuple[str, ...]:
        """The filters for questions."""
        return tuple(f"{self.base}/rpc/{method}" for method in METHODS)

    @property
    def barriers(self) -> str:
        """The filter for the bridge's messages to itself."""
        return f"{self.base}/barrier/+"

    @property
    def status(self) -> str:
        """Where the bridge's own availability is."""
        return f"{self.base}/status"

    def action(self, lock_id: str) -> str:
        """Return where commands for a lock are sent to."""
        return f"{self.base}/locks/{lock_id}/actions"

    def action_reply(self, lock_id: str) -> str:
        """Return where the reply to a command goes that names no Response Topic."""
        return f"{self.action(lock_id)}/reply"

    def state(self, lock_id: str) -> str:
        """Return where a lock's state is."""
        return f"{self.base}/locks/{lock_id}/state"

    def event(self, event_type: str, lock_id: str | None) -> str:
        """Return where an event goes; one of the bridge itself belongs to no lock."""
        return f"{self.base}/events/{event_type}" + (f"/{lock_id}" if lock_id is not None else "")

    def rpc_reply(self, method: str) -> str:
        """Return where an answer goes whose question names no Response Topic."""
        return f"{self.base}/rpc/{method}/reply"

    def barrier(self, mark: str) -> str:
        """Return where the bridge writes to itself."""
        return f"{self.base}/barrier/{mark}"

    def read(self, topic: str) -> Address | None:
        """Tell what a topic is for; None if it is none of the bridge's."""
        if not topic.startswith(f"{self.base}/"):
            return None
        match topic.removeprefix(f"{self.base}/").split("/"):
            case ["locks", lock_id, "actions"]:
                return Address("action", lock_id)
            case ["barrier", mark]:
                return Address("barrier", mark)
            case ["rpc", *method] if "/".join(method) in METHODS:
                return Address("rpc", "/".join(method))
            case _:
                return None

    def check_response(self, topic: str) -> None:
        """Check that replies may be sent to a topic.

        Raises:
            Refused: it has a wildcard, is outside the allowed prefixes, or is one that the bridge itself uses.
        """
        if not topic or "+" in topic or "#" in topic or "\0" in topic:
            raise Refused(Code.INVALID_REQUEST, "The Response Topic is empty or has a wildcard.")
        if not topic.startswith(tuple(self.response_prefixes)):
            raise Refused(
                Code.INVALID_REQUEST, "The Response Topic is outside the prefixes that `mqtt.response_prefixes` allows."
            )
        if self._own(topic):
            raise Refused(Code.INVALID_REQUEST, "The Response Topic is one that the bridge itself uses.")

    def _own(self, topic: str) -> bool:
        """Whether the bridge publishes or subscribes to the topic."""
        if self.discovery_prefix is not None and topic.startswith(f"{self.discovery_prefix}/"):
            return True
        if not topic.startswith(f"{self.base}/"):
            return False
        match topic.removeprefix(f"{self.base}/").split("/"):
            case ["locks", _, "actions" | "state"] | ["locks", _, "actions", "reply"]:
                return True
            case ["barrier" | "events" | "rpc", *_] | ["status"]:
                return True
            case _:
                return False
