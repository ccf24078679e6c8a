"""The configuration: one TOML file, each key of which the environment can override."""

from bridge.config.mistakes import ConfigError, Mistake
from bridge.config.model import DEFAULT_FILE, Config, LockConfig, load

__all__ = ["DEFAULT_FILE", "Config", "ConfigError", "LockConfig", "Mistake", "load"]
