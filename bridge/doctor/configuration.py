"""What is wrong or unsafe in the configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.config import preflight
from bridge.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from bridge.config import Config
    from bridge.config.mistakes import Mistake

CHECK = "configuration"
_MACHINE = ("bridge.state_dir", "locks", "mqtt.password_file", "mqtt.key_file")
"""The beginnings of the keys whose mistakes may only mean that this user may not look."""


def strangers(state_dir: Path) -> bool:
    """Tell whether the state folder is another user's, so that what this one may read tells nothing."""
    try:
        return os.geteuid() not in (0, state_dir.stat().st_uid)
    except OSError:
        return False


def look(config: Config) -> tuple[list[Mistake], list[Mistake]]:
    """Return the mistakes and the warnings."""
    return preflight.check(config), preflight.warnings(config)


def judge(
    file: Path, mistakes: Sequence[Mistake], warnings: Sequence[Mistake], *, stranger: bool = False
) -> list[Finding]:
    """Tell what is wrong in the configuration.

    Args:
        file: where it is.
        mistakes: what keeps the bridge from running.
        warnings: what is unsafe.
        stranger: whether the doctor runs as another user than the bridge.
    """
    unseen = [mistake for mistake in mistakes if stranger and mistake.key.startswith(_MACHINE)]
    found = [
        failure(CHECK, *_parted(mistake.told(str(file)), "correct it (lock-bridge check-config tells of all there is)"))
        for mistake in mistakes
        if mistake not in unseen
    ]
    if unseen:
        found.append(
            warning(CHECK, "this user may not read the bridge's state folder and secrets", "run the doctor with sudo")
        )
    found += [
        warning(CHECK, *_parted(each.told(str(file)), "change it, unless it is meant to be so")) for each in warnings
    ]
    return found or [ok(CHECK, f"{file} is valid")]


def _parted(sentence: str, else_do: str) -> tuple[str, str]:
    """Part what is wrong from what to do about it, which follows after a semicolon where there is something."""
    wrong, _, remedy = sentence.partition("; ")
    return wrong, remedy or else_do
