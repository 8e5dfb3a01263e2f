"""The page about parity: errors of shipped configs over those of the packages, table by table."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.table_results import Result

WITHIN = 0.01  # that the mean of the ratios may differ from 1 by
TITLES = {"realmlp": "RealMLP-TD, pytabkit's", "tabm": "TabM, the tabm package's"}


@dataclass(frozen=True)
class Ratio:
    """The mean error of a config over that of its package, on the splits of a table."""

    about: Result
    num_splits: int
    ours: float
    theirs: float
    standard_error: float  # nan of one split

    @property
    def value(self) -> float:
        """The ratio."""
        return self.ours / self.theirs


def ratio_of(ours: Sequence[Result], theirs: Sequence[Result]) -> Ratio | None:
    """Return the ratio of mean errors on the splits that both have done; None without any.

    Its standard error is that of a ratio of means of pairs, by the delta method.
    """
    other = {result.split: result.error for result in theirs}
    pairs = [
        (one.error, found)
        for one in ours
        if one.error is not None and (found := other.get(one.split)) is not None
    ]
    if not pairs:
        return None
    mine, their = (statistics.mean(errors) for errors in zip(*pairs, strict=True))
    rests = [one - mine / their * another for one, another in pairs]
    spread = statistics.stdev(rests) if len(rests) > 1 else math.nan
    return Ratio(ours[0], len(pairs), mine, their, spread / their / math.sqrt(len(pairs)))


def page_lines(
    results: Mapping[str, Sequence[Result]], programs: Mapping[str, tuple[str, str]], where: str
) -> tuple[list[str], bool]:
    """Return the page, and whether each mean ratio is as near to 1 as is asked for.

    Both are by config: its results, and its programs, dlcli's and the package's.
    """
    sections, are_met = [], True
    for config, (ours, theirs) in programs.items():
        ratios = [
            ratio
            for table in dict.fromkeys(result.table for result in results[config])
            if (ratio := _ratio_on(results[config], table, ours, theirs)) is not None
        ]
        if ratios:
            mean = statistics.mean(ratio.value for ratio in ratios)
            are_met &= abs(mean - 1) <= WITHIN
            sections += [f"## {TITLES[config]}", "", *_section(config, ratios, mean), ""]
    return [*_HEADER, *sections, f"Where: {where}."], are_met


def _ratio_on(results: Sequence[Result], table: str, ours: str, theirs: str) -> Ratio | None:
    mine, other = (
        [result for result in results if (result.table, result.program) == (table, program)]
        for program in (ours, theirs)
    )
    return ratio_of(mine, other)


def _section(config: str, ratios: Sequence[Ratio], mean: float) -> Iterator[str]:
    spread = [ratio.value for ratio in ratios]
    error = statistics.stdev(spread) / math.sqrt(len(spread)) if len(spread) > 1 else math.nan
    is_met = "within" if abs(mean - 1) <= WITHIN else "not within"
    yield (
        f"`configs/{config}.yaml`: the mean of the ratios over {len(ratios)} tables is "
        f"**{mean:.4f} ± {_error(error, 4)}**, {is_met} {WITHIN:.0%} of 1."
    )
    yield ""
    yield "| table | rows | error | splits | config | package | ratio |"
    yield "|---|---|---|---|---|---|---|"
    for ratio in ratios:
        about, kind = ratio.about, "RMSE" if ratio.about.task == "numbers" else "log-loss"
        yield (
            f"| {about.table} | {about.num_rows:,} | {kind} | {ratio.num_splits} | "
            f"{ratio.ours:.4g} | {ratio.theirs:.4g} | {ratio.value:.3f} ± "
            f"{_error(ratio.standard_error, 3)} |"
        )


def _error(error: float, digits: int) -> str:
    return "unknown" if math.isnan(error) else f"{error:.{digits}f}"


_HEADER = [
    *"""# RealMLP and TabM beside their packages

Made by `python -m benchmarks.parity --write`. On each outer split, a fifth of the rows tests; the
shipped config and the package train on the same four fifths, a fifth of which says, to both, which
epoch is the best. Each split has a seed of its own. A ratio is that of the mean errors over the
splits; its standard error, behind ±, is from how the errors of both differ from split to split, so
it holds the noise of seeds, too; of a single split it is unknown. That of the mean is from how the
ratios differ from table to table. By chance, a single table may be off by two standard errors; the
mean of the ratios is what is asked for.

Of the configs, what their first lines say is changed for a table: the data and, for numbers or
classes, the loss, the activation and the learning rate. Beyond that, `calibration: none`, as the
packages don't calibrate. Missing numbers are medians. RealMLP-TD is as pytabkit's documentation
recommends it for log-loss, which is what is compared: with the best epoch by that, and without
label smoothing. The tabm package has no trainer: its network, `TabM.make` without embeddings, is
trained as in its example notebook, but with the best epoch by log-loss, not by accuracy.
""".splitlines(),
    "",
]
