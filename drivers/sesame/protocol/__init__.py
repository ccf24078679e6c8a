"""Bytes of the Sesame OS3 protocol. No input or output."""
