"""Files that the command line writes for whoever runs it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from bridge.cli.boundary import Stop
from bridge.keys import private_file


def write_private(file: Path, data: bytes) -> None:
    """Write a file in one step, durably, for its owner alone.

    Raises:
        PermissionError: it may not be written there.
        Stop: it cannot be written for another reason.
    """
    try:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            private_file.replace(folder, file.name, data)
        finally:
            os.close(folder)
    except PermissionError:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file)) from None
    except OSError as error:
        raise Stop(f"{file} cannot be written: {error.strerror}") from None
