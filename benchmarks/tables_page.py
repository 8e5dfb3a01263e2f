"""The page about tables: errors, ratios, shares of tables, seconds."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.table_results import Result

TITLES = {
    "dlcli": "dlcli",
    "dlcli quick": "dlcli, quick",
    "dlcli standard": "dlcli, standard",
    "dlcli best": "dlcli, best",
    "hgb": "HistGradientBoosting",
    "catboost": "CatBoost",
    "realmlp": "RealMLP-TD for log-loss",
    "realmlp defaults": "RealMLP-TD",
}


@dataclass(frozen=True)
class Asked:
    """A figure that is asked for, over the tables that judge."""

    program: str
    against: str
    share: float | None = None  # of the tables on which it is at least as good; at least
    mean: float | None = None  # of the ratios of errors; at most


ASKED = (
    Asked("dlcli standard", "hgb", share=0.65),
    Asked("dlcli standard", "catboost", share=0.5),
    Asked("dlcli standard", "realmlp defaults", share=0.7),
    Asked("dlcli standard", "realmlp", share=0.7),
    Asked("dlcli standard", "realmlp defaults", mean=0.97),
    Asked("dlcli standard", "realmlp", mean=0.97),
    Asked("dlcli best", "dlcli standard", mean=0.97),
)
MAX_SECONDS = 60  # of `standard`, on two cores, where 10,000 rows of 20 columns train

Means = dict[str, dict[str, float]]  # error over the splits, by table and program


def mean_errors(results: Sequence[Result], programs: Sequence[str], num_splits: int) -> Means:
    """Return the mean error of each program on each table that it has done all splits of."""
    means: Means = {}
    for table in dict.fromkeys(result.table for result in results):
        means[table] = {}
        for program in programs:
            errors = [
                result.error
                for result in results
                if (result.table, result.program) == (table, program) and result.error is not None
            ]
            if len(errors) == num_splits:
                means[table][program] = statistics.mean(errors)
    return means


def ratios(means: Means, program: str, against: str) -> list[float]:
    """Return a program's error over another's, on each table that both have done."""
    return [
        of_table[program] / of_table[against]
        for of_table in means.values()
        if program in of_table and against in of_table
    ]


def page_lines(
    results: Sequence[Result], programs: Sequence[str], num_splits: int, where: str
) -> tuple[list[str], bool]:
    """Return the page, and whether all that is asked for is reached."""
    judging = [result for result in results if result.role == "judge"]
    means = mean_errors(judging, programs, num_splits)
    required, are_met = _required(means, [one for one in results if one.role == "time"])
    lines = [
        "# How good dlcli is on tables",
        "",
        "Made by `python -m benchmarks.tables --write`: `dlcli init` and `dlcli train`, or",
        "`dlcli tune` for the best effort, without an edit, beside other programs with their",
        "defaults. All train on the same four fifths of a table's rows and predict the others, in",
        f"{num_splits} outer splits. Errors are log-loss,",
        "or RMSE for numbers: their means over the splits. A class that was ruled out and comes",
        "costs 16 nats; classes of fewer than 10 rows are left out. RealMLP-TD for log-loss is as",
        "its documentation recommends for this error, with the epoch that has the best one and",
        "without label smoothing; for numbers, both are one. It takes no missing numbers, and gets",
        "medians.",
        "",
        "## Which tables judge",
        "",
        *_roles(results, num_splits),
        "",
        *required,
        "## Ratios of errors",
        "",
        *_comparisons(means, programs),
        "",
        "## By table",
        "",
        *_by_table(judging, means, programs),
        "",
        "## Seconds",
        "",
        *_seconds(judging, programs),
        "",
        f"Where: {where}.",
    ]
    return lines, are_met


def _roles(results: Sequence[Result], num_splits: int) -> Iterator[str]:
    by_role = {
        role: sorted({result.table for result in results if result.role == role})
        for role in ("judge", "choose")
    }
    yield (
        f"The figures are of the tables {', '.join(by_role['judge']) or 'none'}, and of the splits "
        f"0 to {num_splits - 1}."
    )
    if by_role["choose"]:
        yield (
            f"The rules of `init` were chosen on {', '.join(by_role['choose'])}, on splits from "
            "100 on; no figure here is of these."
        )
    else:
        yield "None of them was marked as one that the rules of `init` were chosen on."


def _required(means: Means, timed: Sequence[Result]) -> tuple[list[str], bool]:
    rows, are_met = [], True
    for asked in ASKED:
        found = ratios(means, asked.program, asked.against)
        if not found:
            continue
        pair = f"{TITLES[asked.program]} / {TITLES[asked.against]}"
        if asked.share is not None:
            reached = sum(ratio <= 1 for ratio in found) / len(found)
            is_met = reached >= asked.share
            cells = ["at least as good", f"≥ {asked.share:.0%}", f"{reached:.0%}"]
        else:
            assert asked.mean is not None, "a share or a mean is asked for"
            reached = statistics.mean(found)
            is_met = reached <= asked.mean
            cells = ["mean of the ratios", f"≤ {asked.mean}", f"{reached:.3f}"]
        are_met &= is_met
        rows.append(f"| {pair} | {' | '.join(cells)} | {'met' if is_met else 'missed'} |")
    for result in timed:
        is_met = result.error is not None and result.seconds <= MAX_SECONDS
        are_met &= is_met
        cells = ["seconds", f"≤ {MAX_SECONDS}", f"{result.seconds:.0f}"]
        pair = f"{TITLES[result.program]}, 10,000 made rows × 20, split {result.split}"
        rows.append(f"| {pair} | {' | '.join(cells)} | {'met' if is_met else 'missed'} |")
    if not rows:
        return [], True
    header = ["## Requirements", "", "| of | measure | required | reached | |"]
    return [*header, "|---|---|---|---|---|", *rows, ""], are_met


def _comparisons(means: Means, programs: Sequence[str]) -> Iterator[str]:
    yield "Below 1, the first is better."
    yield ""
    yield "| errors of | tables | at least as good on | mean | median | worst |"
    yield "|---|---|---|---|---|---|"
    ours = [name for name in programs if name.startswith("dlcli")]
    for program in ours:
        for against in programs:
            found = ratios(means, program, against) if against != program else []
            if found:
                good = sum(ratio <= 1 for ratio in found)
                yield (
                    f"| {TITLES[program]} / {TITLES[against]} | {len(found)} | {good} | "
                    f"{statistics.mean(found):.3f} | {statistics.median(found):.3f} | "
                    f"{max(found):.3f} |"
                )


def _by_table(results: Sequence[Result], means: Means, programs: Sequence[str]) -> Iterator[str]:
    yield f"| table | rows | error | {' | '.join(TITLES[name] for name in programs)} |"
    yield f"|---|---|---|{'---|' * len(programs)}"
    for table, of_table in means.items():
        about = next(result for result in results if result.table == table)
        best = min(of_table.values(), default=0.0)
        cells = []
        for program in programs:
            error = of_table.get(program)
            text = "–" if error is None else f"{error:.4g}"
            cells.append(f"**{text}**" if error == best else text)
        kind = "RMSE" if about.task == "numbers" else "log-loss"
        yield f"| {table} | {about.num_rows:,} | {kind} | {' | '.join(cells)} |"


def _seconds(results: Sequence[Result], programs: Sequence[str]) -> Iterator[str]:
    yield "From the table to the predictions: of dlcli, its three processes; of the others, without"
    yield "the start of Python and their imports."
    yield ""
    yield "| program | median | longest |"
    yield "|---|---|---|"
    for program in programs:
        seconds = [result.seconds for result in results if result.program == program]
        if seconds:
            yield (f"| {TITLES[program]} | {statistics.median(seconds):.1f} | {max(seconds):.1f} |")
