"""Many commands sent at once, and the judgement of what came of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import count, repeat
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from tests.support.mqtt_client import BASE, PATIENCE
from tests.support.oracle import is_true

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from tests.support.lockhost import LockHost
    from tests.support.mqtt_client import Heard, Upstream

SLOWEST = 20.0
"""Commands a second that the slowest of machines carries out."""
LONGEST_STRETCH = 20
"""Commands in a row for one lock, at most."""
_NUMBERS = count()


def stretches(lock_ids: Sequence[str], commands: int, dice: random.Random) -> Iterator[str]:
    """Yield so many locks, at random, and each a few times in a row, so that some queues fill."""
    while commands > 0:
        stretch = min(commands, dice.randint(1, LONGEST_STRETCH))
        yield from repeat(dice.choice(lock_ids), stretch)
        commands -= stretch


@dataclass
class Sent:
    """A command and what was said of it; `answered_at` is the monotonic time at which the answer was heard."""

    lock_id: str
    action: str
    answers: list[dict[str, Any]] = field(default_factory=list)
    answered_at: float = 0.0
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def action_id(self) -> str | None:
        """By which the bridge calls it, if it took it."""
        return self.answers[0].get("action_id") if self.answers else None

    @property
    def code(self) -> str | None:
        """Why it was refused, if it was."""
        return self.answers[0].get("error_code") if self.answers else None

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come."""
        return bool(self.answers and (self.code or (self.outcomes and self.attempts)))


class Burst:
    """Commands by their `custom_id`, in the order of sending, and what was heard of them, in the order of hearing.

    Args:
        upstream: sends them; what it heard before is left alone.
        host: of the locks; what moved before is left alone, and so are locks that get no command.
    """

    def __init__(self, upstream: Upstream, host: LockHost) -> None:
        self.sent: dict[str, Sent] = {}
        self._upstream = upstream
        self._host = host
        self._read = len(upstream.heard)
        self._moved_before = {lock_id: len(lock.movements) for lock_id, lock in host.locks.items()}
        self._unsettled = 0
        self._strangers: list[str] = []
        self._order: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))

    async def send(self, lock_ids: Iterable[str], dice: random.Random) -> None:
        """Send a command, at random to lock or unlock, to each of the locks, as fast as the broker takes them."""
        for lock_id in lock_ids:
            custom_id = f"burst-{next(_NUMBERS)}"
            self.sent[custom_id] = Sent(lock_id, dice.choice(("lock", "unlock")))
            self._unsettled += 1
            body = {"action": self.sent[custom_id].action, "custom_id": custom_id}
            await self._upstream.command(lock_id, body, wait=False)
            await anyio.lowlevel.checkpoint()

    async def settled(self) -> None:
        """Return once every command is answered and, if it was taken, has its outcome."""
        await self._upstream.until(self._settled, PATIENCE + len(self.sent) / SLOWEST)

    def _settled(self) -> bool:
        self._take_in()
        return not self._unsettled

    def _take_in(self) -> None:
        while self._read < len(self._upstream.heard):
            heard = self._upstream.heard[self._read]
            self._read += 1
            match heard.topic.removeprefix(f"{BASE}/").split("/"):
                case ["locks", lock_id, "actions", "reply"]:
                    self._note("answers", lock_id, heard)
                case ["events", "lock.action_completed", lock_id]:
                    self._note("outcomes", lock_id, heard)
                case ["events", kind, lock_id] if kind.startswith("action_attempt."):
                    self._note("attempts", lock_id, heard)

    def _note(self, what: str, lock_id: str, heard: Heard) -> None:
        body = heard.body
        custom_id = heard.user.get("custom_id") or body.get("custom_id")
        command = self.sent.get(custom_id)
        if command is None or command.lock_id != lock_id:
            self._strangers.append(f"{heard.topic}: of no command: {body}")
            return
        if what == "answers":
            command.answered_at = heard.at
        before = command.settled
        getattr(command, what).append(body)
        self._unsettled -= command.settled - before
        self._order[lock_id][what].append(custom_id)

    def judge(self, codes: Collection[str], queue_limit: int) -> tuple[Counter[str], list[str]]:
        """Return figures of what came of the commands, and what was promised and not kept.

        Args:
            codes: for which a command may be refused.
            queue_limit: how many commands may wait for one lock.
        """
        self._take_in()
        lock_ids = {each.lock_id for each in self.sent.values()}
        moved = Counter(tag for lock_id in lock_ids for tag, _ in self._movements(lock_id))
        known = {command.action_id for command in self.sent.values()}
        trouble = [
            *self._strangers,
            *(f"{custom_id}: {told}" for custom_id, each in self.sent.items() for told in _broken(each, codes, moved)),
            *(f"{action_id}: P2: moved {times} times" for action_id, times in moved.items() if times > 1),
            *(f"{action_id}: moved for no command" for action_id in moved.keys() - known),
            *(f"{lock_id}: {told}" for lock_id in lock_ids for told in self._disorder(lock_id)),
            *(f"{lock_id}: {told}" for lock_id in lock_ids for told in self._excess(lock_id, queue_limit)),
        ]
        return self._figures(moved), trouble

    def _movements(self, lock_id: str) -> list[tuple[str, float]]:
        """Return the tag and the time of each start of a lock's motor."""
        since = self._moved_before[lock_id]
        return [(each.tag.decode(), each.at) for each in self._host.locks[lock_id].movements[since:]]

    def _disorder(self, lock_id: str) -> list[str]:
        """Return what of a lock was not in the order in which its commands were sent."""
        heard = self._order[lock_id]
        sent = [custom_id for custom_id, each in self.sent.items() if each.lock_id == lock_id]
        taken = [custom_id for custom_id in sent if self.sent[custom_id].action_id]
        ids = [self.sent[custom_id].action_id for custom_id in taken]
        tags = [tag for tag, _ in self._movements(lock_id)]
        orders = {
            "answers": (heard["answers"], sent),
            "movements": (tags, [action_id for action_id in ids if action_id in set(tags)]),
            "outcomes": (heard["outcomes"], taken),
            "attempts": (heard["attempts"], taken),
        }
        return [f"{what} out of order: {told}" for what, (told, right) in orders.items() if told != right]

    def _excess(self, lock_id: str, queue_limit: int) -> list[str]:
        """Return which commands were taken although too many had not begun.

        When a command is taken, no more than the limit less itself wait, and one is being carried out. What moves only
        after the answer was heard was one of these.
        """
        at = dict(self._movements(lock_id))
        taken = [each for each in self.sent.values() if each.lock_id == lock_id and each.action_id]
        late = [
            sum(at.get(earlier.action_id or "", 0.0) > each.answered_at for earlier in taken[:place])
            for place, each in enumerate(taken)
        ]
        return [f"one was taken while {waiting} had not moved" for waiting in late if waiting > queue_limit]

    def _figures(self, moved: Counter[str]) -> Counter[str]:
        taken = [each for each in self.sent.values() if each.action_id]
        refused = Counter(f"refused {each.code}" for each in self.sent.values() if each.code)
        return Counter(
            {
                "commands": len(self.sent),
                "unanswered": sum(not each.answers for each in self.sent.values()),
                **refused,
                "attempts": len(taken),
                "movements": sum(moved.values()),
                "duplicates moved": sum(times - 1 for times in moved.values()),
                "outcomes lost": sum(not each.outcomes for each in taken),
            }
        )


def _broken(command: Sent, codes: Collection[str], moved: Counter[str]) -> list[str]:
    """Return what was promised and not kept of one command."""
    trouble: list[str] = []
    if len(command.answers) != 1:
        trouble.append(f"answered {len(command.answers)} times")
    if command.code and command.code not in codes:
        trouble.append(f"refused: {command.code}")
    due = 1 if command.action_id else 0
    if (len(command.outcomes), len(command.attempts)) != (due, due):
        trouble.append(f"P5: {len(command.outcomes)} outcomes, {len(command.attempts)} of the other kind, not {due}")
    trouble += [f"P6: false: {outcome}" for outcome in command.outcomes if not is_true(outcome, moved)]
    return trouble
