"""Which optimizers are compared, with which settings and rates, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dlcli.config import Config
from dlcli.config.sections.compare import Candidate, unknown_optimizer
from dlcli.errors import ConfigError
from dlcli.optimizers import PRESETS, USUAL_PRESETS
from dlcli.optimizers.base import OptimizerConfig
from dlcli.schedules.base import ScheduledNumber


@dataclass(frozen=True)
class Candidates:
    """Optimizers by name, and what was decided about them."""

    optimizers: dict[str, OptimizerConfig]
    notes: tuple[str, ...]

    def as_configured(self) -> tuple[Candidate, ...]:
        """Return them as a config has them."""
        return tuple(
            Candidate(name=name, optimizer=optimizer) for name, optimizer in self.optimizers.items()
        )


def choose_candidates(config: Config, names: Sequence[str] | None = None) -> Candidates:
    """Choose those named, of the config and the presets; else the config's; else the usual ones.

    All get the weight decay of the config's optimizer, but for those of `compare.optimizers` that
    set their own. Raises ConfigError for unknown names, and for fewer than two.
    """
    decay, notes = config.optimizer.weight_decay, list[str]()
    named = {candidate.name: candidate for candidate in config.compare.optimizers or ()}
    if names is None:
        names = list(named) or _usual(config, named, notes)
    chosen: dict[str, OptimizerConfig] = {}
    for name in names:
        if name not in named and name not in PRESETS:
            raise ConfigError(f"--optimizers: {unknown_optimizer(name, [*named, *PRESETS])}")
        optimizer = named[name].optimizer if name in named else _preset(name, decay)
        if name in named and "weight_decay" not in optimizer.model_fields_set:
            optimizer = optimizer.model_copy(update={"weight_decay": decay})
        chosen[name] = optimizer
    if len(chosen) < 2:
        raise ConfigError(
            f"--optimizers: {', '.join(chosen) or 'nothing'} can't be compared with anything; name "
            "at least two, as in --optimizers sgd,adam"
        )
    notes.append(
        f"weight decay {_text(decay)} for all that don't set their own (optimizer.weight_decay)"
    )
    if not config.compare.lrs and "configured" not in chosen:
        notes.append(
            f"optimizer.lr {config.optimizer.lr:g} is not used: rates are chosen from grids around "
            "each optimizer's default (compare.lrs)"
        )
    notes += _unscheduled(config, chosen)
    notes += _twins(chosen)
    return Candidates(chosen, tuple(notes))


def _usual(config: Config, named: dict[str, Candidate], notes: list[str]) -> list[str]:
    """Name the usual optimizers, and add the config's own where it is none of them."""
    names, decay = list[str](), config.optimizer.weight_decay
    simplest: dict[OptimizerConfig, str] = {}
    for name in USUAL_PRESETS:
        rule = _preset(name, decay).simplified()
        if rule in simplest:
            notes.append(
                f"{name} is left out: with weight decay {_text(decay)} it is the same as "
                f"{simplest[rule]} (optimizer.weight_decay)"
            )
        else:
            simplest[rule] = name
            names.append(name)
    configured = _rule(config.optimizer)
    known = [_rule(_preset(name, 0.0)) for name in PRESETS]
    if configured not in known:
        named["configured"] = Candidate(name="configured", optimizer=config.optimizer)
        names.append("configured")
        notes.append(f"configured: {config.optimizer.type} with the config's own settings")
    elif (preset := list(PRESETS)[known.index(configured)]) not in names:
        names.append(preset)
    return names


def _preset(name: str, weight_decay: float | ScheduledNumber) -> OptimizerConfig:
    optimizer = Candidate.model_validate(name).optimizer
    return optimizer.model_copy(update={"weight_decay": weight_decay})


def _rule(optimizer: OptimizerConfig) -> OptimizerConfig:
    """Return an optimizer without what a comparison sets alike."""
    return optimizer.model_copy(update={"lr": 1.0, "weight_decay": 0.0})


def _unscheduled(config: Config, chosen: dict[str, OptimizerConfig]) -> Iterator[str]:
    """Say which optimizers train without the config's schedule."""
    schedule = config.schedule
    for name, optimizer in chosen.items():
        acting = optimizer.schedule_that_acts(schedule)
        if acting == schedule:
            continue
        what = "the warm-up" if schedule.is_constant else f"the schedule {schedule.type}"
        but = " but for its warm-up" if acting.warmup_epochs else ""
        why = (
            "it has an average of the weights in its place"
            if optimizer.follows_lr
            else "it takes the learning rate of the first step only"
        )
        yield f"{name} trains without {what}{but}, as {why} (schedule)"


def _twins(chosen: dict[str, OptimizerConfig]) -> list[str]:
    """Say which optimizers are the same."""
    settings = {name: optimizer.simplified() for name, optimizer in chosen.items()}
    names = list(settings)
    return [
        f"{second} is the same as {first}: the two can't be told apart"
        for index, second in enumerate(names)
        for first in names[:index]
        if settings[first] == settings[second]
    ][:3]


def _text(decay: float | ScheduledNumber) -> str:
    if isinstance(decay, ScheduledNumber):
        return f"{decay.type}, at most {decay.highest:g},"
    return f"{decay:g}"
