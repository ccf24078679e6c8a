"""Prints what an installed bridge needs of requirements.lock, with its hashes, without what the tests alone need.

usage: requirements.py PYPROJECT LOCK

The lock names for each package what asked for it (`# via`). Taken are the project's own dependencies with all of its
extras, whatever those ask for, and setuptools, which builds the project.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

_ENTRY = re.compile(r"^(?=[a-z0-9])", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VIA = re.compile(r"^ +#(?: via)? +([A-Za-z0-9][\w.-]*)(?: \(.*\))?$", re.MULTILINE)
BUILDER = "setuptools"


def select(pyproject: str, lock: str) -> str:
    """Return the lock's entries that an installation needs.

    Raises:
        SystemExit: the lock lacks one of the project's own dependencies.
    """
    entries = {_name(entry): entry for entry in _ENTRY.split(lock) if _NAME.match(entry)}
    asked_by = {name: {_plain(via) for via in _VIA.findall(entry)} for name, entry in entries.items()}
    taken = _direct(pyproject) | {BUILDER}
    if missing := sorted(taken - entries.keys()):
        sys.exit(f"requirements.lock does not have {', '.join(missing)}: it is older than pyproject.toml; lock anew.")
    while more := {name for name, askers in asked_by.items() if askers & taken} - taken:
        taken |= more
    return "".join(entry for name, entry in entries.items() if name in taken)


def _direct(pyproject: str) -> set[str]:
    project = tomllib.loads(pyproject)["project"]
    extras = project.get("optional-dependencies", {})
    asked = [*project["dependencies"], *(one for extra in extras.values() for one in extra)]
    return {_name(one) for one in asked} - {_plain(project["name"])}


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    return _plain(found[0]) if found else ""


def _plain(name: str) -> str:
    """Return the one spelling that a package's name has everywhere (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.stdout.write(select(Path(sys.argv[1]).read_text(), Path(sys.argv[2]).read_text()))
