"""What ./install does to the journal at a change of versions, as the bridge's own user while no bridge runs.

usage: handover.py known            print the newest schema that this version reads
       handover.py keep             copy the journal, if this version will change its schema
       handover.py put-back N       put the copy back, if the journal is newer than schema N and nothing new is in it
       handover.py begin-anew N     set the journal aside, if it is newer than schema N

Exits with 1, having changed nothing, where it cannot be done.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bridge.app import JOURNAL_FILE
from bridge.config import ConfigError, load
from bridge.errors import StorageUnavailable
from bridge.journal import handover


def main(command: str, *schema: str) -> None:
    """Do what the command says.

    Raises:
        StorageUnavailable: it cannot be done.
    """
    if command == "known":
        print(handover.known())
        return
    journal = _state_dir() / JOURNAL_FILE
    if command == "keep" and (kept := handover.keep(journal)):
        print(f"The journal's schema changes; as it was it is kept as {kept}.")
    if command == "put-back" and handover.put_back(journal, int(*schema)):
        print("The journal is again as it was before its schema changed; nothing was recorded since.")
    if command == "begin-anew" and (aside := handover.begin_anew(journal, int(*schema))):
        print(f"The journal is set aside as {aside}; the bridge begins a new one.")


def _state_dir() -> Path:
    """Return the folder of the journal: the usual one where the configuration cannot be read."""
    try:
        return load(None).bridge.state_dir
    except ConfigError:
        return Path("/var/lib/lock-bridge")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except StorageUnavailable as error:
        sys.exit(str(error))
