"""Runs that are killed, stopped and starved, in campaigns and in short forms of these."""

import os

# As dlcli has it where it trains by several processes; torch reads it when it is imported.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
