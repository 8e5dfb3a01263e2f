"""The kinds of prediction problems."""

from typing import Literal

Task = Literal["binary", "multiclass", "regression"]
