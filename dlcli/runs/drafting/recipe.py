"""What the rules of `dlcli init` go by, and what they choose."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dlcli.config.text.parsing import KeyPath
from dlcli.data.survey.survey import Survey

Layers = list[dict[str, Any]]


@dataclass(frozen=True)
class KnownRows:
    """What the rules go by: the survey, and how many rows and inputs a network learns from."""

    seen: Survey
    num_train: int  # rows that one network trains on
    num_inputs: int  # numbers in an encoded row
    num_numeric: int  # of them: those that are numeric columns
    num_classes: int | None  # None for a regression
    has_validation: bool
    num_folds: int | None  # None: a single network
    why_no_folds: str  # a clause, where folds were wanted; else empty
    why_no_search: str = ""  # the same of a search
    has_table: bool = True  # whether there are columns beside images and texts
    class_counts: Mapping[str, float] = field(default_factory=dict)  # in the training rows


@dataclass(frozen=True)
class Recipe:
    """The layers, the sections of a config that follow, in their order, and the reasons."""

    layers: Layers
    sections: Mapping[str, Any]
    comments: Mapping[KeyPath, str]
    outlook: str  # what training takes
    data: Mapping[str, Any] = field(default_factory=dict)  # how `data` is encoded
    command: Literal["train", "tune"] = "train"  # what the config is written for
    inputs: Mapping[str, Any] = field(default_factory=dict)  # the branches in front of the layers
