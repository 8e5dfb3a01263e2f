"""A comparison's verdict as a paragraph of text."""

import statistics
from collections.abc import Iterator, Sequence

from dlcli.trials.comparing.comparison import Comparison, OptimizerResult
from dlcli.trials.comparing.verdict import Difference, Interval


def describe_verdict(comparison: Comparison) -> str:
    """Return which optimizer is best, how certain that is, and the caveats."""
    return " ".join([*_verdict(comparison), *_caveats(comparison)])


def _verdict(comparison: Comparison) -> Iterator[str]:
    best, verdict = comparison.best, comparison.verdict
    if best is None:
        yield "Every optimizer diverged."
        return
    interval = best.interval("validation", "loss")
    lr = best.optimizer.lr
    what = f"a validation loss of {_with_range(interval)} at lr {lr:g}" if interval else ""
    num_seeds = len(best.runs)
    if interval and comparison.constant is not None:
        name = f"the lowest mean validation loss, that of {best.name}"
        unbeaten = comparison.constant.why_not_beaten(interval.mean, name)
        if unbeaten is not None:
            yield unbeaten
    if verdict is None:
        yield f"Only {best.name} did not diverge, with {what}: there is nothing to compare it with."
        return
    rivals, where = comparison.rivals, "on these rows"
    if comparison.better_on_test:
        where = "on the validation rows"
        yield _contradiction(best, comparison.better_on_test)
    if not rivals:
        second = verdict.order[1]
        difference = _difference(comparison, best.name, second)
        yield (
            f"{best.name} is the clear winner {where}: {what}, lower than every other "
            f"optimizer's on the same {num_seeds} seeds (5 % family-wise error rate over all "
            f"pairs). The runner-up is {second}, {_range(difference.by)} behind."
        )
        return
    yield (
        f"No clear winner: {_listed([best.name, *rivals])} can't be told apart on {num_seeds} "
        f"seeds. {best.name} has the lowest mean, {what}."
    )
    beaten = [name for name in verdict.order if name != best.name and name not in rivals]
    if beaten:
        yield f"It is clearly better than {_listed(beaten)}."


def _contradiction(best: OptimizerResult, others: Sequence[OptimizerResult]) -> str:
    """Say that the test rows contradict the validation rows."""
    losses = [(result.name, result.interval("test", "loss")) for result in [*others, best]]
    *lower, higher = [f"{name} {_with_range(loss)}" for name, loss in losses if loss is not None]
    return (
        f"The test rows contradict the validation rows: {best.name}, which has the lowest "
        f"validation loss, has a clearly higher test loss than {_listed([o.name for o in others])} "
        f"({higher} against {_listed(lower)})."
    )


def _caveats(comparison: Comparison) -> Iterator[str]:
    for result in comparison.results:
        if result.choice is None:
            yield f"{result.name} diverged at every rate, and is left out."
        elif result.num_diverged:
            yield (
                f"{result.name} diverged in {result.num_diverged} of {len(result.runs)} runs with "
                "its chosen rate, and is left out."
            )
    edge = [result.name for result in comparison.results if result.choice and result.choice.edge]
    if edge:
        yield (
            f"The best rate of {_listed(edge)} is at an edge of its grid: there may be a better "
            "one beyond it (compare.lrs, compare.most_lrs)."
        )
    judged = [result for result in comparison.results if result.is_judged]
    best = comparison.best
    if best is not None and statistics.mean(best.losses) < best.solved:
        yield (
            f"On these validation rows {best.name} reduces the loss to less than 1 % of its "
            "initial value: more or harder validation rows would separate the optimizers better."
        )
    target = comparison.target
    if (
        judged
        and target is not None
        and all(result.num_missed == len(result.runs) for result in judged)
    ):
        lowest = min(min(result.losses) for result in judged)
        yield (
            f"No run reached the target, a validation loss of {target:g}; the lowest is "
            f"{lowest:.4g}: try a target above it."
        )


def _difference(comparison: Comparison, first: str, second: str) -> Difference:
    assert comparison.verdict is not None, "the two were compared"
    return next(
        difference
        for difference in comparison.verdict.differences
        if difference.names == (first, second)
    )


def _listed(names: Sequence[str]) -> str:
    """Write names as a sentence has them."""
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _with_range(interval: Interval) -> str:
    return f"{interval.mean:.4g} (95 %: {interval.low:.4g} to {interval.high:.4g})"


def _range(by: Interval) -> str:
    """Write how far the second is behind the first: the difference with its sign turned."""
    return f"{-by.mean:.4g} ({-by.high:.4g} to {-by.low:.4g})"
