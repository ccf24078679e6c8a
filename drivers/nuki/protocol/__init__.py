"""The Nuki protocol without I/O: bytes in, bytes out (Nuki Smart Lock Bluetooth API 2.2)."""
