"""Settings of every schedule to test: defaults, and a few more."""

from pydantic import TypeAdapter

from dlcli.schedules import SCHEDULES, AnySchedule
from dlcli.schedules.base import ScheduleConfig
from tests.families import Settings, samples_of

SAMPLES = samples_of(
    SCHEDULES,
    {
        "step": [{"step_size": 3, "gamma": 0.5}],
        "cosine": [{"eta_min": 0.01}],
        "flat_cosine": [{"flat": 0.0}],
        "coslog": [{"cycles": 2}],
        "one_cycle": [{"pct_start": 0.5, "div_factor": 10.0}],
        "reduce_on_plateau": [
            {"factor": 0.5, "patience": 1, "cooldown": 1, "min_lr": 0.04},
            {"patience": 0},
        ],
    },
)


def read(settings: Settings) -> ScheduleConfig:
    config: ScheduleConfig = TypeAdapter(AnySchedule).validate_python(settings)
    return config
