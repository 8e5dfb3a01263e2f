"""Which optimizers are compared, with which settings and rates, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from dlcli.config import Config
from dlcli.config.optimizers import Optimizer
from dlcli.config.sections.compare import PRESETS, Candidate, unknown_optimizer
from dlcli.errors import ConfigError

_USUAL = ("sgd", "momentum", "nesterov", "adam", "rmsprop", "adagrad", "adadelta")


@dataclass(frozen=True)
class Candidates:
    """Optimizers by name, and what was decided about them."""

    optimizers: dict[str, Optimizer]
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
    chosen: dict[str, Optimizer] = {}
    for name in names:
        if name not in named and name not in PRESETS:
            raise ConfigError(f"--optimizers: {unknown_optimizer(name, [*named, *PRESETS])}")
        optimizer = (named[name] if name in named else Candidate.model_validate(name)).optimizer
        if name not in named or "weight_decay" not in optimizer.model_fields_set:
            optimizer = optimizer.model_copy(update={"weight_decay": decay})
        chosen[name] = optimizer
    if len(chosen) < 2:
        raise ConfigError(
            f"--optimizers: {', '.join(chosen) or 'nothing'} can't be compared with anything; name "
            "at least two, as in --optimizers sgd,adam"
        )
    notes.append(
        f"weight decay {decay:g} for all that don't set their own (optimizer.weight_decay)"
    )
    if not config.compare.lrs and "configured" not in chosen:
        notes.append(
            f"optimizer.lr {config.optimizer.lr:g} is not used: rates are chosen from grids around "
            "each optimizer's default (compare.lrs)"
        )
    notes += _twins(chosen)
    return Candidates(chosen, tuple(notes))


def _usual(config: Config, named: dict[str, Candidate], notes: list[str]) -> list[str]:
    """Name the usual optimizers, and add the config's own where it is none of them."""
    names = list(_USUAL)
    if config.optimizer.weight_decay:
        names.insert(names.index("adam") + 1, "adamw")
    else:
        notes.append("adamw is left out: without weight decay it is adam (optimizer.weight_decay)")
    configured = _rule(config.optimizer)
    known = [_rule(Candidate.model_validate(name).optimizer) for name in PRESETS]
    if configured not in known:
        named["configured"] = Candidate(name="configured", optimizer=config.optimizer)
        names.append("configured")
        notes.append(f"configured: {config.optimizer.type} with the config's own settings")
    elif (preset := list(PRESETS)[known.index(configured)]) not in names:
        names.append(preset)
    return names


def _rule(optimizer: Optimizer) -> Optimizer:
    """Return an optimizer without what a comparison sets alike."""
    return optimizer.model_copy(update={"lr": 1.0, "weight_decay": 0.0})


def _twins(chosen: dict[str, Optimizer]) -> list[str]:
    """Say which optimizers are the same."""
    settings = {name: optimizer.model_dump() for name, optimizer in chosen.items()}
    for values in settings.values():
        if values["type"] == "adamw" and not values["weight_decay"]:
            values["type"] = "adam"
    names = list(settings)
    return [
        f"{second} is the same as {first}: the two can't be told apart"
        for index, second in enumerate(names)
        for first in names[:index]
        if settings[first] == settings[second]
    ][:3]
