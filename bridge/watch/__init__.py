"""Noticing and telling what others did at a lock: the watcher, the lock's log, and the reckoning of who it was."""
