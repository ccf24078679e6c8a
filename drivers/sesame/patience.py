"""How long the driver waits for a lock."""

RESPONSE_TIMEOUT = 5.0
"""Seconds that the lock has to answer, or to say the next thing: a few connection intervals, and retransmissions."""
SETTLE_TIME = 2.0
"""Seconds for which a motor that has given up is watched before that is believed: the bolt may come free."""
WRITE_TIME = 2.0
"""Seconds that handing a segment to the radio may take: nothing is waited for on the air."""
STEP_TIMEOUT = 10.0
"""Seconds for a registration: there the lock's small processor has a key agreement to compute."""
