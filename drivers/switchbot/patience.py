"""How long the driver waits for a lock."""

RESPONSE_TIMEOUT = 5.0
"""Seconds that the lock has to answer. It answers within some tenths of a second (captures of a Lock Pro: 0.1 to 0.5);
the rest is for retransmissions over a bad link."""
QUIET = 1.5
"""Seconds without a report after which an action that was taken is asked after."""
