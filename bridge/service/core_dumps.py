"""That nothing of this process' memory, which holds the keys to the locks, gets into a core dump.

The unit sets LimitCORE=0 and CoredumpFilter=0. Neither holds for a bridge that is started otherwise, and a limit is
not heeded where the kernel hands core dumps to a program (core(5)). What is set here holds everywhere, and also keeps
other processes of the same user from reading the memory (ptrace(2)).
"""

from __future__ import annotations

import ctypes
import os

_PR_SET_DUMPABLE = 4
"""prctl(2). Python's standard library does not have the call."""


def forbid() -> None:
    """Have the kernel write no core dump of this process.

    Raises:
        OSError: it refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        error = ctypes.get_errno()
        raise OSError(error, f"core dumps cannot be forbidden: {os.strerror(error)}")
