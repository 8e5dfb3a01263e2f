"""What a search found, as a paragraph of text."""

from dlcli.errors import counted
from dlcli.numbers import number_text
from dlcli.trials.results import HeldOutPart
from dlcli.trials.searching.findings import Findings
from dlcli.trials.searching.optimism import Optimism


def describe_findings(found: Findings) -> str:
    """Say which settings are best, how good they are, and what is known of that."""
    best, metric = found.best, found.tune.metric
    assert best is not None, "one came through"
    said = [
        f"Of {found.num_tried:,} settings that were tried, the best have a validation {metric} of "
        f"{number_text(best.figure or 0.0, 4)}: {settings_text(found)}."
        if best.settings
        else f"None of {found.num_tried:,} settings that were tried has a better validation "
        f"{metric} than the config as it is, {number_text(best.figure or 0.0, 4)}."
    ]
    if found.shortfall is not None:
        said.append(f"Fewer than the {found.tune.trials:,} asked for: {found.shortfall}.")
    said.append(_optimism_text(found))
    return " ".join([*said, *_fresh_text(found), *_ensemble_text(found)])


def _ensemble_text(found: Findings) -> list[str]:
    """Say how good the ensemble of the best settings is."""
    if found.ensemble is None:
        return []
    metric, figures = found.tune.metric, found.ensemble.figures
    part: HeldOutPart = "test" if "test" in figures else "validation"
    figure, networks = figures[part].get(metric), counted(found.ensemble.num_networks, "network")
    if figure is None:
        return []
    which, name = f"{networks} on other seeds", str(part)
    if found.tune.folds is not None:
        settings = counted(len(found.ensemble.shares), "setting")
        which = f"{networks}, those of all folds of {settings}"
        name = "test" if part == "test" else "out-of-fold"
    figure_text = number_text(figure, 4)
    return [f"The {name} {metric} of the ensemble of the best, {which}, is {figure_text}."]


def settings_text(found: Findings) -> str:
    """Name the best settings."""
    assert found.best is not None, "one came through"
    return ", ".join(f"{key}={_value_text(value)}" for key, value in found.best.settings.items())


def _value_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _optimism_text(found: Findings) -> str:
    optimism, metric = found.optimism, found.tune.metric
    if not isinstance(optimism, Optimism):
        return f"How much better they look on the rows that chose them can't be told: {optimism}."
    gap = number_text(abs(optimism.difference), 2)
    verdict = (
        f"they look {gap} better than they are"
        if _is_flattered(found, optimism)
        else "they are about as good as they look"
    )
    return (
        f"On rows that didn't choose them, a {metric} of about {number_text(optimism.expected, 4)} "
        f"is expected (95 % interval {number_text(optimism.low, 4)} to "
        f"{number_text(optimism.high, 4)}): {verdict}."
    )


def _is_flattered(found: Findings, optimism: Optimism) -> bool:
    return (optimism.difference < 0) == found.is_higher_better


def _fresh_text(found: Findings) -> list[str]:
    """Say how the best settings do on fresh seeds, beside the config as it is."""
    metric, judged = found.tune.metric, found.judged_best
    part = "test" if judged is not None and judged.values("test", metric) else "validation"
    interval = None if judged is None else judged.interval(part, metric)  # type: ignore[arg-type]
    if judged is None or interval is None:
        return []
    rows = "the test rows, which the search has not seen," if part == "test" else "the same rows"
    said = (
        f"On {len(judged.runs)} fresh seeds, their {metric} on {rows} is "
        f"{number_text(interval.mean, 4)}"
    )
    gain = found.gain(part)  # type: ignore[arg-type]
    if gain is None or found.judged_config is judged:
        return [f"{said}."]
    other = found.judged_config.interval(part, metric) if found.judged_config else None  # type: ignore[arg-type]
    assert other is not None, "there is a gain over it"
    is_clear = gain.low > 0 or gain.high < 0
    is_better = (gain.mean > 0) == found.is_higher_better
    verdict = ("better" if is_better else "worse") if is_clear else "not clearly different"
    return [
        f"{said}; that of the config as it is, {number_text(other.mean, 4)}: {verdict} (difference "
        f"{number_text(gain.mean, 2)}, 95 % interval {number_text(gain.low, 2)} to "
        f"{number_text(gain.high, 2)})."
    ]
