"""What the dice of a test begin with: the same each time, another in the long run, or `LOCK_BRIDGE_SEED`."""

from __future__ import annotations

import os
import random

SEED = int(os.environ.get("LOCK_BRIDGE_SEED", "0")) or (
    random.randrange(1, 2**32) if os.environ.get("LOCK_BRIDGE_LONG") else 2693761427
)
"""The number by which a run can be had again."""
