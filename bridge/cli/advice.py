"""What to do next, by why an action came to nothing."""

from __future__ import annotations

from bridge.errors import Code

_NEXT = {
    Code.LOCK_NOT_FOUND: "`lock-bridge locks` shows which locks there are.",
    Code.ACTION_NOT_ALLOWED: "Allow it with `actions` of this lock in the configuration, and restart the bridge.",
    Code.ACTION_NOT_SUPPORTED: "This kind of lock cannot do it.",
    Code.RATE_LIMITED: "Wait a minute; `commands.rate_limit` in the configuration sets how many are taken.",
    Code.DEVICE_BUSY: "Wait until the lock is done with what it was asked before: `lock-bridge attempts`.",
    Code.STORAGE_UNAVAILABLE: "See that the disk of the state folder is neither full nor read-only.",
    Code.BRIDGE_OFFLINE: "See that Bluetooth works on this machine: `lock-bridge doctor`.",
    Code.DEVICE_OFFLINE: (
        "See that the lock has power and is in range (`lock-bridge scan`), and that no phone holds its connection."
    ),
    Code.LOCK_JAMMED: "Look at the door: something holds the bolt. Turn the lock by hand once, then try again.",
    Code.BOLT_OBSTRUCTED: "Look at the door: close it properly, and clear what is in the bolt's way.",
    Code.BOLT_NOT_FULLY_EXTENDED: "The door may not be locked. Look at it, and turn the lock by hand.",
    Code.MECHANISM_ERROR: "Look at the lock: its motor reports a fault. The vendor's app may say more.",
    Code.FIRMWARE_REJECTED: "The lock takes no command now. Try again, and look at its settings in the vendor's app.",
    Code.NOT_AUTHORIZED: "The lock refuses the bridge's key. Pair it again: `lock-bridge pair`.",
    Code.ACTION_TIMEOUT: (
        "Nothing moved. Try again nearer to the lock; `lock-bridge doctor` tells how well it is heard."
    ),
    Code.OUTCOME_UNKNOWN: ("The bolt may have moved or not. Look at the door, or ask the lock: `lock-bridge locks`."),
    Code.LOW_BATTERY: "Change or charge the lock's battery.",
    Code.UNCATEGORIZED_ERROR: "The bridge's log says more: `journalctl -u lock-bridge`.",
}


def advice_on(code: str | None) -> str:
    """Return what to do about an `error_code`; nothing where nothing is known to help."""
    try:
        return _NEXT.get(Code(code or ""), "")
    except ValueError:
        return ""
