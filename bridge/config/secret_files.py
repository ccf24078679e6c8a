"""Where a secret is: in the file that the configuration names, else in a systemd credential (systemd.exec(5))."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

CREDSTORE = Path("/etc/credstore")
"""Where systemd finds the unit's credentials, each as `lock-bridge.NAME`. Root alone can read them there."""


def located(file: Path | None, name: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file that a secret is in; None if there is none.

    Outside the service it is looked for where systemd would find it, so that root can check a configuration.

    Args:
        file: as it is configured.
        name: of the credential.
        environ: the process's environment.
    """
    if file is not None:
        return file
    folder = environ.get("CREDENTIALS_DIRECTORY")
    place = Path(folder) / name if folder else CREDSTORE / f"lock-bridge.{name}"
    return place if os.path.exists(place) else None  # noqa: PTH110 - pathlib's raises where the folder is closed to us
