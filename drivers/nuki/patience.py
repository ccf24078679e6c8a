"""How long the driver waits for a lock."""

RESPONSE_TIMEOUT = 5.0
"""Seconds that the lock has to answer, or to say the next thing. It answers within a few connection intervals, of at
most some tenths of a second each; the rest is for retransmissions over a bad link."""

STEP_TIMEOUT = 10.0
"""Seconds for each step of pairing: there the lock's small processor has a key agreement to compute, too."""
