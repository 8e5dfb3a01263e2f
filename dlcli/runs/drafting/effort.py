"""How much training may take, as `dlcli init --effort` names it."""

from typing import Literal

Effort = Literal["quick", "standard", "best"]
