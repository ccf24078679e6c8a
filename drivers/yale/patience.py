"""How long the driver waits for a lock, and lets it rest."""

RESPONSE_TIMEOUT = 5.0
"""Seconds that the lock has to answer, or to say the next thing."""

OPTIONAL_TIMEOUT = 2.0
"""Seconds that it has to tell what not every model tells."""

REST = 0.25
"""Seconds from what the lock said last to what it is asked next: one that is hurried can crash, and is silent until its
batteries are pulled (`yalexs_ble.session.COOLDOWN_TIME`)."""

KEEP_ALIVE = 20.0
"""Seconds after which a standing link is used again: the lock ends one on which it is asked nothing for 30."""

GOODBYE_TIMEOUT = 1.0
"""Seconds that the lock has to answer a goodbye."""
