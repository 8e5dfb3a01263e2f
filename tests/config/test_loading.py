from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from dlcli.config import dump_config, load_config
from dlcli.errors import ConfigError
from dlcli.layers.family import LAYERS
from tests.conftest import ROOT

MINIMAL = """
data: {path: x.csv, target: y}
model: {layers: [{type: dense}]}
"""

SHIPPED = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str, name: str = "run.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_name_is_the_stem_where_none_is_given(config: Callable[..., Path]) -> None:
    assert load_config(config(MINIMAL, "my run.yaml")).config.name == "my-run"


def test_defaults_are_those_of_the_contract_and_of_torch(config: Callable[..., Path]) -> None:
    loaded = load_config(config(MINIMAL)).config
    assert loaded.seed == 0
    assert loaded.data.scale == "standard"
    assert (loaded.data.split.validation, loaded.data.split.test) == (0, 0)
    assert (loaded.optimizer.type, loaded.optimizer.lr) == ("adam", 1e-3)
    assert loaded.training.device == "auto"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_dumped_config_loads_to_an_equal_one(path: Path, config: Callable[..., Path]) -> None:
    loaded = load_config(path).config
    assert load_config(config(dump_config(loaded))).config == loaded


def test_a_name_alone_is_short_for_its_type(config: Callable[..., Path]) -> None:
    text = MINIMAL + "loss: huber\noptimizer: sgd\nschedule: {type: cosine}"
    loaded = load_config(config(text)).config
    assert loaded.loss is not None
    assert (loaded.loss.type, loaded.optimizer.type, loaded.schedule.type) == (
        "huber",
        "sgd",
        "cosine",
    )


@pytest.mark.parametrize(
    ("given", "overrides"),
    [
        ("", ["optimizer.lr=0.1", "schedule.warmup_epochs=2.5"]),
        ("", ["optimizer=sgd", "optimizer.momentum=0.9", "schedule=step", "schedule.step_size=3"]),
        ("optimizer: sgd\nschedule: cosine\n", ["optimizer.lr=0.1", "schedule.eta_min=0.01"]),
    ],
)
def test_a_part_of_a_section_can_be_set_where_it_is_a_name_or_left_out(
    given: str, overrides: list[str], config: Callable[..., Path]
) -> None:
    before = load_config(config(MINIMAL + given)).config
    after = load_config(config(MINIMAL + given), overrides).config
    for override in overrides:
        key, _, value = override.partition("=")
        section, _, name = key.partition(".")
        found = getattr(getattr(after, section), name or "type")
        assert str(found) == value
    kept = "sgd" if "optimizer=sgd" in overrides else before.optimizer.type
    assert after.optimizer.type == kept


def test_every_problem_is_told_at_once_in_the_order_of_the_file(
    config: Callable[..., Path],
) -> None:
    path = config("""seed: -1
data:
  path: x.csv
  taget: y
  scale: log
model:
  layers:
    - {type: dense, unit: 3}
    - {type: dens}
    - {type: residual, layers: [{type: dense, units: a}]}
optimizer: {type: sgd, nesterov: true}
training: {batch_size: no, epochs: 1.5}
""")
    known = ", ".join(get_args(layer.model_fields["type"].annotation)[0] for layer in LAYERS)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).splitlines() == [
        f"{path}:1:1: seed: must be at least 0, not -1",
        f"{path}:2:1: data.target: is required",
        f"{path}:4:3: data.taget: unknown key; did you mean 'target'?",
        f"{path}:5:3: data.scale: must be 'standard', 'minmax', 'robust_clip', 'quantile' or "
        "'none', not 'log'",
        f"{path}:8:21: model.layers[0].unit: unknown key; did you mean 'units'?",
        f"{path}:9:7: model.layers[1]: unknown type 'dens'; did you mean 'dense'?; known: {known}",
        f"{path}:10:47: model.layers[2].layers[0].units: must be a whole number, not 'a'",
        f"{path}:11:1: optimizer: `nesterov` needs `momentum` above 0 and `dampening` 0",
        f"{path}:12:12: training.batch_size: must be a whole number or 'full', not 'no'",
        f"{path}:12:28: training.epochs: must be a whole number, not 1.5",
    ]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="not UTF-8 text, from byte 3 on"):
        load_config(tmp_path / "c.yaml")


class TestOverrides:
    def test_a_value_is_replaced_wherever_it_stands(self, config: Callable[..., Path]) -> None:
        overrides = [
            "model.layers[0].units=64",
            "training.batch_size=full",
            "optimizer.lr=1e-2",
            "data.split={validation: 0.1}",
        ]
        loaded = load_config(config(MINIMAL + "optimizer: sgd"), overrides).config
        assert loaded.model.layers[0].units == 64  # type: ignore[union-attr]
        assert loaded.training.batch_size == "full"
        assert (loaded.optimizer.type, loaded.optimizer.lr) == ("sgd", 0.01)
        assert loaded.data.split.validation == 0.1

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("seed", "--set seed: write KEY=VALUE"),
            ("a..b=1", "--set a..b=1: write KEY=VALUE"),
            ("model.layers[3].units=1", "there is no item [3]: the value is a list of 1"),
            ("seed.x=1", "--set seed.x=1: seed: must be a whole number"),
            ("seed=-1", "--set seed=-1: seed: must be at least 0, not -1"),
            ("training.epoch=5", "training.epoch: unknown key; did you mean 'epochs'?"),
            ("data.path.x=1", "can't set 'x'"),
            ("seed=[1", "--set seed=[1"),
        ],
    )
    def test_a_bad_one_is_named_in_the_message(
        self, override: str, message: str, config: Callable[..., Path]
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            load_config(config(MINIMAL), [override])
        assert message in str(caught.value)
