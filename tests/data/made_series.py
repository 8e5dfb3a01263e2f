"""Tables of made series, with a season, and configs of forecasts on them."""

import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

START = datetime(2024, 1, 1)


def hourly(num_steps: int, *, series: tuple[str, ...] = (), seed: int = 0) -> pl.DataFrame:
    """Return hours with a daily season, promotions, a temperature, and a series for each name."""
    random = np.random.default_rng(seed)
    tables = []
    for shift, name in enumerate(series or ("",)):
        hours = np.arange(num_steps)
        promo = (hours // 24) % 5 == 0
        sales = 10 + shift + 3 * np.sin(2 * math.pi * hours / 24) + 2 * promo
        table = pl.DataFrame(
            {
                "when": [f"{START + timedelta(hours=int(hour)):%Y-%m-%d %H:%M}" for hour in hours],
                "sales": (sales + 0.3 * random.normal(size=num_steps)).round(4),
                "heat": random.normal(size=num_steps).round(4),
                "promo": promo.astype(int),
            }
        )
        if series:
            table = table.with_columns(pl.lit(name).alias("shop"))
        tables.append(table)
    return pl.concat(tables)


def write_forecast(
    table: pl.DataFrame, path: Path | str = "f.yaml", *, window: Any = None, **sections: Any
) -> Path:
    """Write a table and the config of a small network that forecasts `sales` from it."""
    path = Path(path)
    table.write_csv(path.with_suffix(".csv"))
    data = {
        "path": f"{path.stem}.csv",
        "window": {
            "time": "when",
            "past": 24,
            "horizon": 6,
            "targets": ["sales"],
            **(window or {}),
        },
        "split": {"validation": 0.2, "test": 0.2},
        **sections.pop("data", {}),
    }
    layers = [{"type": "flatten"}, {"type": "dense", "units": 4, "activation": "relu"}]
    config = {
        "data": data,
        "model": {"layers": [*layers, {"type": "dense"}]},
        "optimizer": {"type": "adam", "lr": 0.003},
        "training": {"epochs": 2, "batch_size": 32},
        **sections,
    }
    path.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return path
