"""The training, validation and test rows."""

from dlcli.data.splits.groups import draw_groups, split_by_groups
from dlcli.data.splits.parts import PARTS, PartName, Split, judged_part, split_by_column
from dlcli.data.splits.shares import draw_rows, draw_split, split_by_shares
from dlcli.data.splits.times import TimeCuts, TimeReader

__all__ = [
    "PARTS",
    "PartName",
    "Split",
    "TimeCuts",
    "TimeReader",
    "draw_groups",
    "draw_rows",
    "draw_split",
    "judged_part",
    "split_by_column",
    "split_by_groups",
    "split_by_shares",
]
