"""The whole bridge in one process with nothing to set up: a broker, two virtual locks, and a few commands."""
