"""One program on splits of a table, with its defaults: on_table.py SPEC OUT [SPEC OUT …].

SPEC is JSON: program, train and test (Parquet), target, categorical (columns), task, seed, and
validation: the indices of the training rows that say when to stop; none for a program that draws
some itself. OUT becomes a Parquet file: a column a class, or `prediction`. Prints the seconds from
the tables to the predictions, a line each.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd


def features(frame, spec, *, medians=None):
    """Return the features; categories as such, and numbers that are missing by medians if given."""
    rows = frame.drop(columns=spec["target"])
    for name in spec["categorical"]:
        rows[name] = rows[name].fillna("missing").astype(str)
    if medians is not None:
        rows = rows.fillna(medians)
    return rows


def hist_gradient_boosting(train, labels, test, spec):
    """HistGradientBoosting; columns of more categories than it takes are numbered."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.preprocessing import OrdinalEncoder

    names = spec["categorical"]
    if names:
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
        train[names], test[names] = (
            encoder.fit_transform(train[names]),
            encoder.transform(test[names]),
        )
    few = [name for name in names if train[name].nunique() <= 254]
    kind = HistGradientBoostingRegressor if spec["is_number"] else HistGradientBoostingClassifier
    return kind(categorical_features=few or None, random_state=spec["seed"]).fit(
        train, labels
    ), test


def catboost(train, labels, test, spec):
    """CatBoost."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostRegressor if spec["is_number"] else CatBoostClassifier
    model = kind(random_seed=spec["seed"], verbose=False, allow_writing_files=False)
    return model.fit(train, labels, cat_features=spec["categorical"]), test


def realmlp(train, labels, test, spec):
    """RealMLP-TD, of one network; for the log-loss as its documentation recommends."""
    chosen = {} if spec["is_number"] else {"val_metric_name": "cross_entropy", "use_ls": False}
    return realmlp_with_defaults(train, labels, test, spec, **chosen)


def realmlp_with_defaults(train, labels, test, spec, **chosen):
    """RealMLP-TD, of one network: its epoch by the mistakes, and with label smoothing."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    kind = RealMLP_TD_Regressor if spec["is_number"] else RealMLP_TD_Classifier
    model = kind(device="cpu", random_state=spec["seed"], **chosen)
    validation = np.array(spec["validation"]) if spec["validation"] else None
    categorical = spec["categorical"]
    return model.fit(train, labels, val_idxs=validation, cat_col_names=categorical), test


def tabm(train, labels, test, spec):
    """TabM of the tabm package, trained as its example does."""
    from tabm_example import TabmExample

    model = TabmExample(is_number=spec["is_number"], seed=spec["seed"])
    validation, categorical = np.array(spec["validation"]), spec["categorical"]
    fitted = model.fit(train, labels, validation=validation, categorical=categorical, others=test)
    return fitted, test


PROGRAMS = {
    "hgb": hist_gradient_boosting,
    "catboost": catboost,
    "realmlp": realmlp,
    "realmlp defaults": realmlp_with_defaults,
    "tabm": tabm,
}


def run(spec, out):
    """Fit, predict, write."""
    spec["is_number"] = spec["task"] == "numbers"
    train, test = (pd.read_parquet(spec[part]) for part in ("train", "test"))
    begun = time.perf_counter()
    medians = None
    if spec["program"].startswith("realmlp"):  # it takes no missing numbers
        numbers = train.drop(columns=[spec["target"], *spec["categorical"]])
        medians = numbers.median()
    model, rows = PROGRAMS[spec["program"]](
        features(train, spec, medians=medians),
        train[spec["target"]],
        features(test, spec, medians=medians),
        spec,
    )
    if spec["is_number"]:
        found = pd.DataFrame({"prediction": model.predict(rows)})
    else:
        found = pd.DataFrame(model.predict_proba(rows), columns=list(map(str, model.classes_)))
    seconds = time.perf_counter() - begun
    found.to_parquet(out)
    print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    for place in range(1, len(sys.argv), 2):
        run(json.loads(Path(sys.argv[place]).read_text(encoding="utf-8")), sys.argv[place + 1])
