"""Ludwig, by its Python API."""

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
from ludwig.api import LudwigModel

spec, out = SimpleNamespace(**json.loads(Path(sys.argv[1]).read_text())), Path(sys.argv[2])
table = pd.read_csv(spec.table)
table["split"] = table.pop(spec.part).map({"train": 0, "validation": 1})
names = [name for name in table.columns if name not in (spec.target, "split")]
config = {
    "input_features": [
        {"name": name, "type": "number", "preprocessing": {"normalization": "zscore"}}
        for name in names
    ],
    "combiner": {
        "type": "concat",
        "num_fc_layers": len(spec.units),
        "output_size": spec.units[0],
        "dropout": spec.dropout,
        "activation": "relu",
    },
    "output_features": [
        {"name": spec.target, "type": "binary" if spec.num_classes == 2 else "category"}
    ],
    "preprocessing": {"split": {"type": "fixed", "column": "split"}},
    "trainer": {
        "epochs": spec.epochs,
        "batch_size": spec.batch_size,
        "eval_batch_size": 1024,
        "early_stop": -1,
        "learning_rate": spec.lr,
        "optimizer": {"type": "adam"},
    },
}
model = LudwigModel(config, logging_level=logging.ERROR)
statistics, _, _ = model.train(
    dataset=table, output_directory=str(out), skip_save_processed_input=True
)
validation = statistics.validation[spec.target]
print(json.dumps({"steps": [], "accuracy": validation["accuracy"][-1]}))
