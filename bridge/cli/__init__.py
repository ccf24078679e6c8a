"""The command line. What a command needs is imported when it runs, so that the daemon carries none of the rest."""

from bridge.cli.main import main

__all__ = ["main"]
