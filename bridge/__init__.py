"""The bridge: lock commands in over MQTT, Bluetooth locks moved, and what truly happened told upstream."""

from importlib.metadata import version

__version__ = version("lock-bridge")
