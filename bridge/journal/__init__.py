"""The durable record: attempts and the events that tell of them. SQLite is used here alone."""

from bridge.journal.journal import Journal, open_journal
from bridge.journal.lookups import Sought
from bridge.journal.store import in_thread, inline

__all__ = ["Journal", "Sought", "in_thread", "inline", "open_journal"]
