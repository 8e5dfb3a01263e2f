"""YAML text → a checked `Config`: parsing, overrides, checking and reporting, in that order."""

from dlcli.config.config import Config
from dlcli.config.loading import LoadedConfig, dump_config, load_config, open_config

__all__ = ["Config", "LoadedConfig", "dump_config", "load_config", "open_config"]
