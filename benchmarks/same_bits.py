"""Whether this checkout trains and predicts what another commit does, to the bit.

    python -m benchmarks.same_bits COMMIT [CONFIG ...]

Trains every shipped config (or those named) with the code of the commit and with this one, on this
machine, and compares the weights in best.safetensors by name, the entries of summary.json that the
commit writes, and the bytes that `predict` writes. Some configs run with changed settings too:
streamed rows, embedded columns, other optimizers. Exits with 1 where anything differs. `--keep
FOLDER` keeps the runs, and finds those of the commit there the next time.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import safetensors.numpy
import yaml

from benchmarks.commits import ROOT, check_out, dlcli_of

# Settings that the shipped configs don't cover.
VARIANTS: dict[str, list[tuple[str, ...]]] = {
    "penguins": [
        ("data.one_hot_max=1",),
        ("data.one_hot_max=1", "data.streaming=true"),
        ("data.one_hot_max=1", "training.engine=eager", "optimizer.type=sgd"),
        ("optimizer.type=nadam", "schedule.type=cosine", "training.accumulate_batches=2"),
        ("loss={type: cross_entropy, class_weights: balanced, label_smoothing: 0.1}",),
    ],
    "diabetes": [
        ("data.streaming=true", "training.epochs=20"),
        ("loss=huber", "optimizer.type=rmsprop"),
        ("loss=mae", "data.scale=minmax"),
    ],
    "moons": [
        ("loss=cross_entropy", "optimizer.type=adagrad"),
        ("training.early_stopping={metric: roc_auc}", "optimizer.type=radam"),
        ("training.early_stopping={metric: roc_auc}", "data.streaming=true"),
    ],
}
_TIMES = ("seconds", "versions")


def run_config(code: Path, config: Path, settings: tuple[str, ...], folder: Path) -> None:
    """Train a config with the code of a checkout, and predict its own data."""
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was cut off
    folder.mkdir(parents=True)
    run, data = folder / "run", _data_of(config)
    overrides = [word for setting in ("report=false", *settings) for word in ("--set", setting)]
    commands = (
        ["train", str(config), "--run-dir", str(run), *overrides],
        ["predict", str(run), str(data), "-o", str(folder / "predictions.csv")],
    )
    for command in commands:
        line, environment = dlcli_of(code, *command)
        subprocess.run(line, cwd=folder, env=environment, check=True, capture_output=True)


def differences(first: Path, second: Path) -> list[str]:
    """Return what differs between two folders that `run_config` has left."""
    weights = [
        safetensors.numpy.load_file(folder / "run" / "best.safetensors")
        for folder in (first, second)
    ]
    found = [f"{name}: in one only" for name in sorted(weights[0].keys() ^ weights[1].keys())]
    found += [
        f"{name}: other numbers"
        for name in sorted(weights[0].keys() & weights[1].keys())
        if weights[0][name].tobytes() != weights[1][name].tobytes()
    ]
    before, now = (_summary(folder) for folder in (first, second))
    found += [
        f"summary's {key}: {value} and {now.get(key)}"
        for key, value in before.items()
        if now.get(key) != value
    ]
    predictions = [(folder / "predictions.csv").read_bytes() for folder in (first, second)]
    return found + ["predictions"] * (predictions[0] != predictions[1])


def _data_of(config: Path) -> Path:
    data = yaml.safe_load(config.read_text("utf-8"))["data"]
    return (config.parent / str(data["path"])).resolve()


def _summary(folder: Path) -> dict[str, Any]:
    summary = json.loads((folder / "run" / "summary.json").read_text("utf-8"))
    return {key: value for key, value in summary.items() if key not in _TIMES}


def main() -> int:
    """Train both, compare, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("configs", nargs="*", help="such as penguins or lecture/20_dropout")
    parser.add_argument("--keep", type=Path, help="a folder for the runs")
    arguments = parser.parse_args()
    folder = ROOT / "configs"
    shipped = [
        str(path.relative_to(folder).with_suffix("")) for path in sorted(folder.rglob("*.yaml"))
    ]
    num_different = 0
    with tempfile.TemporaryDirectory() as temporary:
        code, kept = Path(temporary) / "code", arguments.keep or Path(temporary) / "runs"
        code.mkdir()
        commit = check_out(arguments.commit, code)
        for name in arguments.configs or shipped:
            if not (code / "configs" / f"{name}.yaml").exists():
                print(f"{name}: new since then", flush=True)
                continue
            for settings in ((), *VARIANTS.get(name, [])):
                title = " ".join((name, *settings))
                key = "".join(character if character.isalnum() else "-" for character in title)
                before, after = kept.resolve() / commit / key, Path(temporary) / "now" / key
                if not (before / "predictions.csv").exists():
                    run_config(code, code / "configs" / f"{name}.yaml", settings, before)
                run_config(ROOT, folder / f"{name}.yaml", settings, after)
                found = differences(before, after)
                num_different += bool(found)
                print(f"{title}: {'; '.join(found) if found else 'the same'}", flush=True)
    print(f"{num_different} differ" if num_different else "all are the same, to the bit")
    return 1 if num_different else 0


if __name__ == "__main__":
    sys.exit(main())
