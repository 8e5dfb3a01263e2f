"""What a value means that was typed behind --set, or comes from the environment."""

from pathlib import Path

import pytest

from dlcli.config import load_config
from dlcli.config.text_options import file_settings
from dlcli.errors import ConfigError

TEXT = """
data: {path: x.csv, target: y, split: {validation: 0.2, group: g}}
model: {layers: [{type: dense}]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("7", 7), ("0.5", 0.5), ("90s", 90), ("2d", 172_800), ("1h 30m", 5_400)),
        *(("1h30m", 5_400), ("1.5 h", 5_400), ("null", None)),
    ],
)
def test_a_time_is_a_number_of_seconds_or_has_units(
    text: str, seconds: float | None, config: Path
) -> None:
    training = load_config(config, [f"training.max_seconds={text}"]).config.training
    assert training.max_seconds == seconds


@pytest.mark.parametrize(
    "text", ["1x", "30m 1h", "1h 30", "10 30s", "''", "soon", "0", "0s", "-1", ".inf"]
)
def test_other_times_are_refused(text: str, config: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.max_seconds"):
        load_config(config, [f"training.max_seconds={text}"])


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("data.target=score #2", "target", "score #2"),
        ("data.target=#2", "target", "#2"),
        ("data.target=*rating", "target", "*rating"),
        ("data.target=@id", "target", "@id"),
        ("data.target=2024", "target", "2024"),
        ("data.target=007", "target", "007"),
        ("data.target=null", "target", "null"),
        ("data.target=a=b, c: 'd", "target", "a=b, c: 'd"),
        ('data.target="2024"', "target", "2024"),  # as YAML has it
        ("data.target='it''s'", "target", "it's"),
        ("data.target='a' or 'b'", "target", "'a' or 'b'"),
        ("data.separator=,", "separator", ","),
        ("data.separator=|", "separator", "|"),
        ("data.separator=\\t", "separator", "\t"),
        ("data.separator=\t", "separator", "\t"),
        ('data.decimal=","', "decimal", ","),
        ("data.thousands='", "thousands", "'"),
        ("data.weight=null", "weight", None),
        ("data.weight=", "weight", None),  # nothing typed is nothing
        ("data.weight=#", "weight", "#"),
        ("data.path=[a.csv, b.csv]", "path", ("a.csv", "b.csv")),
        ("data.path=a #1.csv", "path", "a #1.csv"),
        ("data.features=[a, '#b']", "features", ("a", "#b")),
        ("data.streaming=true", "streaming", True),
        ("data.streaming=auto", "streaming", "auto"),
        ("data.kinds={a: categorical}", "kinds", {"a": "categorical"}),
    ],
)
def test_a_typed_value_is_text_where_the_key_takes_text(
    override: str, key: str, value: object, config: Path
) -> None:
    assert getattr(load_config(config, [override]).config.data, key) == value


def test_a_typed_value_may_stand_deep_within_the_config(config: Path) -> None:
    overrides = [
        "data.split.group=the #group",
        "data.features=[a, b]",
        "data.features[1]=#2",
        "model.layers[0].activation=tanh",
        "training.batch_size=64",
        "loss=huber",
        "name=007",
    ]
    loaded = load_config(config, overrides).config
    assert loaded.data.split.group == "the #group"
    assert loaded.data.features == ("a", "#2")
    assert loaded.model.layers[0].activation == "tanh"  # type: ignore[union-attr]
    assert (loaded.training.batch_size, loaded.name) == (64, "007")
    assert loaded.loss is not None
    assert loaded.loss.type == "huber"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=1 #2", "--set seed=1 #2: '#2' would be a comment: leave it out, or put the value"),
        ("seed=#2", "--set seed=#2: '#2' would be a comment"),
        ("data.path=[a.csv, b.csv", "not YAML"),
        ("data.features=a,b", "data.features: must be a list, not 'a,b': write [a,b]"),
    ],
)
def test_what_can_not_be_read_is_refused(override: str, message: str, config: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(config, [override])
    assert message in str(caught.value)


def test_how_a_file_is_written_is_typed_alike_where_there_is_no_config() -> None:
    settings = file_settings(["data.separator=|", "data.quote='", "data.names=[a, b]"])
    assert (settings.separator, settings.quote, settings.names) == ("|", "'", ("a", "b"))


def test_a_value_that_is_one_reference_is_read_as_a_typed_one(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LR": "0.05", "TARGET": "007", "UNITS": "8", "REPORT": "true"}.items():
        monkeypatch.setenv(name, value)
    config.write_text(
        TEXT.replace("target: y", 'target: "${env:TARGET}"')
        + 'optimizer: {type: sgd, lr: "${env:LR}"}\nseed: "${env:TASK:3}"\n'
        + 'report: "${env:REPORT}"\n'
        + 'training: {epochs: "1${env:UNITS}"}\n'
    )
    overrides = ["model.layers[0].units=${env:UNITS}", "training.epochs=5"]
    loaded = load_config(config, overrides)
    found = loaded.config
    assert (found.data.target, found.optimizer.lr, found.seed) == ("007", 0.05, 3)
    assert (found.report, found.model.layers[0].units) == ("quick", 8)  # type: ignore[union-attr]
    assert "optimizer.lr: 0.05, from ${env:LR}" in loaded.notes
    assert "report: true, from ${env:REPORT}" in loaded.notes


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("fast", "optimizer.lr: must be a number, not 'fast', from ${env:LR}"),
        ("[1", "optimizer.lr: ${env:LR} is '[1', which is not YAML"),
        ("", "optimizer.lr: must be a number, not nothing, from ${env:LR}"),
    ],
)
def test_a_variable_that_does_not_fit_is_refused_where_it_is_used(
    value: str, message: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LR", value)
    config.write_text(TEXT + 'optimizer: {type: sgd, lr: "${env:LR}"}\n')
    with pytest.raises(ConfigError) as caught:
        load_config(config)
    assert str(caught.value) == f"{config}:4:24: {message}"
