"""Which commands are taken. Pure: what it needs to know comes in, and nothing is remembered here.

The rules apply in this order, and the first that is broken is the answer:
1. A command is never retained.
2. It is well formed.
3. It is for a lock that there is; it is signed if it must be, and a signature that is there is good; and it asks what
   that lock's configuration allows and its driver can do.
4. A repetition of an accepted command gets that command's reply again.
5. It is fresh: there is a deadline, and the deadline has not passed. That of a signed one is near, or what was
   recorded could be given again later.
6. A lock is not asked the same thing too often.
7. Not too many wait for a lock.
8. It is not hopeless now.

`read` applies the first three, `admit` the others.

What must be signed is what comes from anywhere but the gateway itself: over MQTT, and over HTTP from the network. There
Seam's clients, who cannot sign, are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.errors import Code, Refused
from bridge.keys.signing import Signers
from bridge.model import Attempt, Command
from bridge.wire import maker
from drivers.base import Action, Method

RATE_WINDOW = 60.0
"""Seconds over which the rate limit counts."""
SKEW = 10.0
"""Seconds that the clock of who signs may be ahead of the bridge's."""


NOBODY = Signers()


@dataclass(frozen=True, slots=True)
class Message:
    """A command as it came to a door."""

    lock_id: str
    payload: bytes
    method: Method
    arrived: float
    """Boot time in seconds."""
    retained: bool = False
    misdirected: Refused | None = None
    """Why it is not for this lock and this sender: its reply may not go where they want it, or they may not know it."""
    expires_in: float | None = None
    """Seconds left of the message's own expiry, on arrival."""
    perhaps_queued: bool = False
    """It may have waited in the broker for an unknown time while the bridge was away."""
    unremembered: bool = False
    """It may have been carried out before, and the record that would tell is gone."""
    request_key: str | None = None
    packet_key: str | None = None
    redelivered: bool = False
    told_as_attempt: bool = False
    """What makes it hopeless is told as an attempt that failed: Seam's clients are told so of a lock that is away."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What may be asked of a lock."""

    allowed: frozenset[Action]
    """By its configuration."""
    supported: frozenset[Action]
    """By its driver, as far as the lock can."""
    auto_lock: bool = False
    """Whether its driver can tell it when to lock itself."""
    require_signature: bool = False
    """Whether it takes from elsewhere what is signed alone."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The configured limits."""

    ttl: float
    """Seconds that a command lives at most."""
    require_expiry: bool
    rate_limit: int
    """Commands of one kind for one lock in a minute; 0 for no limit."""
    queue_limit: int
    """Commands that wait for one lock while another is carried out."""
    max_ttl: float = 60.0
    """Seconds for which a command may be signed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is so now."""

    wall: datetime
    clock_trusted: bool
    earlier: Attempt | None
    """The accepted attempt that the command repeats."""
    recent: int
    """Accepted commands of this kind for this lock within the rate window."""
    waiting: int
    """Commands that wait for this lock."""
    hindrance: Refused | None
    """Why the command is hopeless now."""


@dataclass(frozen=True, slots=True)
class Accept:
    """The command is new and is to be tried until the deadline (boot time in seconds)."""

    deadline: float


@dataclass(frozen=True, slots=True)
class Hopeless:
    """The command is new, and is to be told as an attempt that failed at once."""

    deadline: float
    reason: Refused


@dataclass(frozen=True, slots=True)
class Replay:
    """The command was accepted before: its reply is given again, nothing is done."""

    attempt: Attempt


def read(message: Message, locks: Mapping[str, Permission], signers: Signers = NOBODY) -> Command:
    """Read a message by rules 1 to 3.

    Args:
        message: as it came.
        locks: what may be asked of each, by its id.
        signers: whose signatures are good.

    Raises:
        Refused: the rule that it breaks.
    """
    if message.retained:
        raise Refused(
            Code.RETAINED_COMMAND,
            "The command was published with the retain flag, so it would be run again at every restart;"
            " publish it without, and clear the topic with an empty retained message.",
        )
    if message.misdirected is not None:
        raise message.misdirected
    request = maker.parse_request(message.payload)
    permission = locks.get(message.lock_id)
    if permission is None:
        raise Refused(Code.LOCK_NOT_FOUND, f"This bridge has no lock {message.lock_id[:64]!r}.")
    if request.signature is not None:
        signers.check(request.signature, message.lock_id, request.action)
    elif permission.require_signature:
        _check_at_gateway(message.method)
    if request.action not in permission.allowed:
        raise Refused(
            Code.ACTION_NOT_ALLOWED,
            f"The configuration does not allow {request.action} on this lock; list it under `actions` to allow it.",
        )
    if request.action not in permission.supported:
        raise Refused(Code.ACTION_NOT_SUPPORTED, f"This lock cannot {request.action}.")
    return Command(
        lock_id=message.lock_id,
        action=request.action,
        method=message.method,
        arrived=message.arrived,
        custom_id=request.custom_id,
        expires_at=request.expires_at,
        signed=request.signature is not None,
        expires_in=message.expires_in,
        perhaps_queued=message.perhaps_queued,
        unremembered=message.unremembered,
        request_key=message.request_key,
        packet_key=message.packet_key,
        redelivered=message.redelivered,
        told_as_attempt=message.told_as_attempt,
    )


def check_task(command: Command, permission: Permission, driver: str) -> Command:
    """Apply rule 3 to a lock's task, `CONFIGURE_AUTO_LOCK`.

    Raises:
        Refused: the lock cannot do it, or its configuration does not allow it, or wants it signed, which it cannot be.
    """
    if permission.require_signature:
        _check_at_gateway(command.method)
    if not permission.auto_lock:
        raise Refused(
            Code.ACTION_NOT_SUPPORTED, f"CONFIGURE_AUTO_LOCK is not supported: the driver {driver!r} cannot do it."
        )
    if Action.LOCK not in permission.allowed:
        raise Refused(
            Code.ACTION_NOT_ALLOWED, "The configuration does not allow this lock to be locked, nor to lock itself."
        )
    return command


def admit(command: Command, rules: Rules, facts: Facts) -> Accept | Hopeless | Replay:
    """Decide on a command by rules 4 to 8.

    Raises:
        Refused: the rule that it breaks.
    """
    if facts.earlier is not None:
        return Replay(facts.earlier)
    lifetime = _lifetime(command, rules, facts)
    if rules.rate_limit and facts.recent >= rules.rate_limit:
        raise Refused(
            Code.RATE_LIMITED,
            f"More than {rules.rate_limit} {command.action} commands in a minute for this lock.",
            retry_after=RATE_WINDOW / rules.rate_limit,
        )
    if facts.waiting >= rules.queue_limit:
        raise Refused(Code.DEVICE_BUSY, f"{facts.waiting} commands are waiting for this lock already.", retry_after=1.0)
    deadline = command.arrived + lifetime
    if facts.hindrance is None:
        return Accept(deadline)
    if command.told_as_attempt:
        return Hopeless(deadline, facts.hindrance)
    raise facts.hindrance


def _check_at_gateway(method: Method) -> None:
    """See that what is not signed was given at the gateway itself, with the bridge's own key.

    Raises:
        Refused: it came from elsewhere.
    """
    if method is not Method.BLUETOOTH_KEY:
        raise Refused(
            Code.SIGNATURE_REQUIRED,
            "This lock takes signed commands only; sign it with a key that lock-bridge signing-key create makes.",
        )


def _lifetime(command: Command, rules: Rules, facts: Facts) -> float:
    """Return for how many seconds from its arrival the command may be tried."""
    if command.unremembered:
        raise Refused(
            Code.COMMAND_EXPIRED,
            "The bridge's journal was begun anew, and this command may have been carried out before; send it again.",
        )
    limits = [rules.ttl]
    if command.expires_in is not None:
        limits.append(command.expires_in)
    if command.expires_at is not None:
        if facts.clock_trusted:
            limits.append(_left(command, command.expires_at, rules, facts))
        else:
            _check_without_time(command)
    if rules.require_expiry and command.expires_in is None and command.expires_at is None:
        raise Refused(Code.EXPIRY_REQUIRED, "Commands to this bridge must carry a Message Expiry or expires_at.")
    if command.perhaps_queued and len(limits) == 1:
        raise Refused(Code.COMMAND_EXPIRED, _unknown_age(command))
    if min(limits) <= 0:
        raise Refused(Code.COMMAND_EXPIRED, "The command's deadline had passed when it arrived.")
    return min(limits)


def _unknown_age(command: Command) -> str:
    """Say why a command that was queued is not carried out."""
    if command.expires_at is None:
        return "The command has no expiry and was queued while the bridge was away, nobody knows for how long."
    return (
        "The command was queued while the bridge was away, and the bridge does not know the time, so it cannot tell"
        " whether its expires_at has passed; send it again."
    )


def _left(command: Command, expires_at: datetime, rules: Rules, facts: Facts) -> float:
    """Return for how many seconds more its sender wants the command to be tried."""
    left = (expires_at - facts.wall).total_seconds()
    if command.signed and left > rules.max_ttl + SKEW:
        raise Refused(
            Code.SIGNATURE_INVALID,
            f"The command is signed for {left:.0f} s from now; at most {rules.max_ttl:.0f} s are taken.",
        )
    return left


def _check_without_time(command: Command) -> None:
    """See that a command with `expires_at` can be taken while the time is not known."""
    if command.signed:
        raise Refused(
            Code.CLOCK_NOT_TRUSTED,
            "The bridge does not know the time, so it cannot tell a signed command from a recorded one.",
        )
    if command.action is not Action.LOCK:
        raise Refused(
            Code.CLOCK_NOT_TRUSTED,
            "The bridge does not know the time, so it cannot honour expires_at; send a Message Expiry instead.",
        )
