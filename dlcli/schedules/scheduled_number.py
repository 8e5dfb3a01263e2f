"""Numbers of the config that may change with every step: a dropout rate, a weight decay.

RealMLP lowers both (Holzmüller, Grinsztajn and Steinwart 2024, arXiv:2407.04491). They follow the
share of the run's steps that were taken, whatever the learning rate does.
"""

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Discriminator, Tag

from dlcli.schedules.base import ScheduledNumber
from dlcli.schedules.coslog import CoslogNumber
from dlcli.schedules.flat_cosine import FlatCosineNumber
from dlcli.section import ByType, Fraction, NonNegativeFloat, Section


def highest(number: float | ScheduledNumber) -> float:
    """Return a number as it is, or the highest that it can be."""
    return number.highest if isinstance(number, ScheduledNumber) else number


def scheduled(number: float | ScheduledNumber) -> ScheduledNumber | None:
    """Return a number that changes; None for one that doesn't."""
    return number if isinstance(number, ScheduledNumber) else None


def _form(value: object) -> str:
    return "mapping" if isinstance(value, dict | Section) else "number"


def _below_one(number: ScheduledNumber) -> ScheduledNumber:
    if number.highest >= 1:
        raise ValueError(f"must stay below 1, and rises to {number.highest:g}")
    return number


if TYPE_CHECKING:
    NumberOrSchedule = float | ScheduledNumber
    FractionOrSchedule = float | ScheduledNumber
else:
    _Any = Annotated[FlatCosineNumber | CoslogNumber, ByType()]
    NumberOrSchedule = Annotated[
        Annotated[NonNegativeFloat, Tag("number")] | Annotated[_Any, Tag("mapping")],
        Discriminator(_form),
    ]
    FractionOrSchedule = Annotated[
        Annotated[Fraction, Tag("number")]
        | Annotated[_Any, AfterValidator(_below_one), Tag("mapping")],
        Discriminator(_form),
    ]
