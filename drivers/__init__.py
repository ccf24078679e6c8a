"""Vendors' ways of talking to their locks. Nothing here knows of the bridge."""
