"""runs.jsonl: finished trials of any rule survive interruptions, whole line by whole line."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlcli.errors import CheckpointError
from dlcli.runs.comparison.begun_stacks import BegunStacks
from dlcli.runs.comparison.finished_trials import FinishedTrials
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.trials.results import TrialResult
from dlcli.trials.trial import Trial

TRIALS = [
    Trial(changes={"model.layers[0].units": 8, "optimizer.lr": 0.1 + 0.2}, seed=1),
    Trial(changes={"model.layers[0].units": 8, "optimizer.lr": 0.3}, seed=1),
    Trial(changes={}, seed=2**63 - 1, fold=3),
    Trial(changes={"optimizer": {"type": "adam", "betas": [0.9, 0.999]}}, seed=1),
]


def result(trial: Trial, *, is_evaluated: bool = False) -> TrialResult:
    return TrialResult(
        trial=trial,
        end="epochs",
        num_steps=30,
        best_epoch=2,
        train_losses=(0.5, 1 / 3),
        validation_losses=(0.6, 0.1 + 0.2),
        seconds_a_step=1e-4,
        figures={"validation": {"loss": 0.1 + 0.2}} if is_evaluated else None,
    )


def write(folder: Path) -> bytes:
    kept = FinishedTrials(RunFolder(folder), {"data.csv": "0" * 64})
    for trial in TRIALS:
        kept.add(result(trial))
    return (folder / "runs.jsonl").read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(data=st.data())
def test_a_cut_anywhere_loses_no_whole_line(data: st.DataObject, tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").unlink(missing_ok=True)
    whole = write(tmp_path)
    header = whole.index(b"\n") + 1
    cut = data.draw(st.integers(header, len(whole)))
    (tmp_path / "runs.jsonl").write_bytes(whole[:cut])
    kept = FinishedTrials(RunFolder(tmp_path), {})
    assert kept.checksums == {"data.csv": "0" * 64}
    num_whole = whole[header:cut].count(b"\n")
    for index, trial in enumerate(TRIALS):
        found = kept.find(trial, is_evaluated=False)
        assert found == (result(trial) if index < num_whole else None)
    for trial in TRIALS[num_whole:]:
        kept.add(result(trial))
    assert (tmp_path / "runs.jsonl").read_bytes() == whole


def test_a_trial_without_figures_is_not_finished_where_they_are_wanted(tmp_path: Path) -> None:
    write(tmp_path)
    kept = FinishedTrials(RunFolder(tmp_path), {})
    assert kept.find(TRIALS[0], is_evaluated=True) is None
    kept.add(result(TRIALS[0], is_evaluated=True))
    again = FinishedTrials(RunFolder(tmp_path), {})
    assert again.find(TRIALS[0], is_evaluated=True) == result(TRIALS[0], is_evaluated=True)
    assert (len(again), again.num_evaluated) == (len(TRIALS), 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]", "line 2 is damaged: Input should be"),
        ("{", "line 2 is damaged: Invalid JSON"),
        ('{"optimizer": {"type": "adm"}, "seed": 1}', "line 2 is damaged: optimizer"),
        ('{"trial": {"changes": {}, "seed": -1}}', "line 2 is damaged: trial.seed"),
    ],
)
def test_a_damaged_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    header = write(tmp_path).splitlines()[0].decode()
    (tmp_path / "runs.jsonl").write_text(f"{header}\n{line}\n")
    with pytest.raises(CheckpointError) as caught:
        FinishedTrials(RunFolder(tmp_path), {})
    assert message in str(caught.value)


def test_stacks_that_begin_together_are_kept_together_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "stacks.jsonl"
    first, second = (TRIALS[0], TRIALS[1]), (TRIALS[2], TRIALS[3])
    BegunStacks(path).add([first, second])
    whole = path.read_bytes()
    assert BegunStacks(path).find() == [first, second]
    path.write_bytes(whole[:-20])  # as a kill in the middle of writing leaves it
    assert BegunStacks(path).find() == []


def test_stacks_of_older_versions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "stacks.jsonl"
    trials = ",".join(trial.key for trial in TRIALS[:2])
    path.write_text(f'{{"trials": [{trials}]}}\n', encoding="utf-8")
    assert BegunStacks(path).find() == [(TRIALS[0], TRIALS[1])]
