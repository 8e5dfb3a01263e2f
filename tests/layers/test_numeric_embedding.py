"""Embedded numeric columns: the papers' values, which columns they are, and where bins are kept."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dlcli.columns.base import NumericInput
from dlcli.columns.numeric import NumericColumn
from dlcli.columns.running_statistics import Sample
from dlcli.columns.scaling.scales import bin_edges
from dlcli.config import LoadedConfig, load_config
from dlcli.data.dataset import load_dataset
from dlcli.data.signature import Signature
from dlcli.layers.base import ShapeError, UpdateFactors
from dlcli.layers.embedding.modules import PiecewiseLinear
from dlcli.network.builder import build_network
from dlcli.network.plan import Plan, plan_network
from dlcli.runs.preparation import prepare
from tests.conftest import ROOT, Command, WriteConfig
from tests.layers.samples import DENSE, FLAT, layers, plan
from tests.reliability.comparing import differences
from tests.reliability.configs import write_config

Load = Callable[..., LoadedConfig]

PBLD = {"type": "numeric_embedding", "kind": "pbld", "dim": 3, "frequencies": 3}
PLR = {"type": "numeric_embedding", "kind": "plr", "dim": 3, "frequencies": 3}
BINS = {"type": "numeric_embedding", "kind": "piecewise_linear", "dim": 3}


def planned_for(numeric: tuple[NumericInput, ...], width: int, spec: dict[str, Any]) -> Plan:
    signature = Signature(width, (), None, 2, numeric=numeric)
    return plan_network(layers(spec, DENSE), signature, num_outputs=2)


def built(numeric: tuple[NumericInput, ...], width: int, spec: dict[str, Any]) -> nn.Module:
    return build_network(planned_for(numeric, width, spec), seed=0).get_submodule(
        "0_numeric_embedding"
    )


def set_to_sines(module: nn.Module, starts: dict[str, float]) -> None:
    """Let parameters be sin(0.7 · place + start)."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            places = torch.arange(parameter.numel()).reshape(parameter.shape)
            parameter.copy_(torch.sin(0.7 * places + starts[name]))


TWO = (NumericInput(0, (-1.0, 0.0, 0.5, 2.0)), NumericInput(1, (-1.0, 0.2, 1.0)))
ROWS = [[-0.8, 0.3], [1.5, -2.0]]
# By pytabkit 1.7.0: PLREmbeddingsLayerCosBias with plr_act_name="linear", plr_use_densenet=True.
# By rtdl_num_embeddings 0.0.12: PeriodicEmbeddings(2, 3, n_frequencies=3, lite=False), and
# PiecewiseLinearEmbeddings(edges, 3, activation=False, version="B"), all with these sines as their
# parameters, rows flattened. (Where columns differ in the number of bins, that package puts the
# last bin of each at the end, so its weights are in that order.)
VALUES = {
    "pbld": (
        PBLD,
        {"frequencies": 0.0, "phases": 1.0, "weight": 2.0, "bias": 3.0},
        [
            [-0.8, 0.3, 1.326167, 0.563725, -0.003727, -0.061902],
            [1.5, -2.0, 1.420667, -0.220965, -1.225617, -0.676228],
        ],
    ),
    "plr": (
        PLR,
        {"frequencies": 0.0, "weight": 2.0, "bias": 3.0},
        [[1.700799, 1.506171, 0.603167, 0.0, 0.0, 0.0], [0.497475, 0.0, 0.0, 0.0, 0.0, 0.0]],
    ),
    "piecewise_linear": (
        BINS,
        {"slope": 0.0, "bias": 1.0, "weight": 2.0},
        [
            [1.02333, 0.561767, -0.164005, 1.099237, -0.223562, -1.441216],
            [0.877098, 1.774833, 1.837836, -2.436648, -1.625266, -0.049497],
        ],
    ),
}


@pytest.mark.parametrize("kind", VALUES)
def test_values_are_those_of_the_papers_packages(kind: str) -> None:
    spec, starts, expected = VALUES[kind]
    module = built(TWO, 2, spec)
    set_to_sines(module, starts)
    np.testing.assert_allclose(module(torch.tensor(ROWS)).detach(), expected, atol=2e-6)


@pytest.mark.parametrize("kind", VALUES)
def test_other_numbers_stay_as_they_are(kind: str) -> None:
    spec, starts, expected = VALUES[kind]
    numeric = tuple(replace(number, index=1 + 2 * number.index) for number in TWO)
    module = built(numeric, 5, spec)
    set_to_sines(module, starts)
    rows = torch.tensor([[7.0, first, 8.0, second, 9.0] for first, second in ROWS])
    numbers = module(rows).detach().numpy()
    if kind == "pbld":  # beside the numbers, which are all where they were
        assert (numbers[:, :5] == rows.numpy()).all()
        np.testing.assert_allclose(numbers[:, 5:], np.array(expected)[:, 2:], atol=2e-6)
    else:
        assert (numbers[:, :3] == [7, 8, 9]).all()
        np.testing.assert_allclose(numbers[:, 3:], expected, atol=2e-6)


def test_parameters_begin_as_in_the_papers_packages() -> None:
    numeric = tuple(NumericInput(place, (0.0, 1.0)) for place in range(400))
    pbld = built(numeric, 400, {"type": "numeric_embedding", "kind": "pbld"})
    assert pbld.get_parameter("frequencies").std().item() == pytest.approx(0.1, rel=0.05)
    assert uniform_bound(pbld, "phases") == pytest.approx(math.pi, rel=0.01)
    for name in ("weight", "bias"):
        assert uniform_bound(pbld, name) == pytest.approx(16**-0.5, rel=0.01)
    plr = built(numeric, 400, {"type": "numeric_embedding", "kind": "plr"})
    assert plr.get_parameter("frequencies").std().item() == pytest.approx(0.00987, rel=0.05)
    assert plr.get_parameter("frequencies").abs().max() <= 0.03
    assert uniform_bound(plr, "weight") == pytest.approx(96**-0.5, rel=0.01)
    linear = built(numeric, 400, {"type": "numeric_embedding", "kind": "piecewise_linear"})
    assert uniform_bound(linear, "slope") == pytest.approx(0.25, rel=0.01)
    assert not linear.get_parameter("weight").any()


def uniform_bound(module: nn.Module, name: str) -> float:
    """Return the bound of numbers that are uniform around 0."""
    values = module.get_parameter(name).detach()
    assert values.std().item() == pytest.approx(values.abs().max().item() / 3**0.5, rel=0.05)
    return values.abs().max().item()


def test_factors_hold_for_all_of_its_parameters() -> None:
    factors = plan(FLAT, {**PBLD, "lr_factor": 0.1}, DENSE).update_factors
    names = ("frequencies", "phases", "weight", "bias")
    expected = {f"0_numeric_embedding.{name}": UpdateFactors(lr=0.1) for name in names}
    assert factors == expected


def test_what_follows_from_the_plan_is_moved_with_the_module_and_not_saved() -> None:
    network = build_network(plan(FLAT, BINS, DENSE), seed=0)
    assert not [*network.named_buffers()]
    module = network.get_submodule("0_numeric_embedding").double()
    assert isinstance(module, PiecewiseLinear)
    kinds = {name: tensor.dtype for name, tensor in module.constants.items()}
    assert kinds.pop("places") == kinds.pop("rest") == torch.int64
    assert {*kinds.values()} == {torch.float64}


class TestBins:
    def test_edges_are_those_of_the_package(self) -> None:
        # By rtdl_num_embeddings 0.0.12: compute_bins(X, n_bins=6).
        squares = (np.arange(60) * 37 % 101) ** 2 / 100
        expected = [0.0, 2.50833, 10.67333, 24.505, 44.00333, 69.16833, 100.0]
        assert bin_edges(Sample(squares), 6) == pytest.approx(expected, abs=1e-5)
        half_30 = np.minimum(np.arange(60.0), 30.0)
        expected = [0.0, 9.83333, 19.66667, 29.5, 30.0]
        assert bin_edges(Sample(half_30), 6) == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize(
        ("numbers", "edges"),
        [([], (0, 1)), ([3.0, 3.0], (3, 6)), ([-4e9], (-4e9, 0)), ([0.0, 1e-40], (0, 1))],
    )
    def test_there_is_one_bin_at_least(self, numbers: list[float], edges: tuple[float]) -> None:
        assert bin_edges(Sample(np.array(numbers)), 4) == edges
        module = built((NumericInput(0, edges),), 1, BINS)
        set_to_sines(module, VALUES["piecewise_linear"][1])
        assert module(torch.tensor([[edges[0]], [1e30]])).isfinite().all()

    def test_they_are_fitted_to_scaled_numbers_of_training_rows(
        self, load: Load, table: Callable[..., Path]
    ) -> None:
        lines = [f"{row},{row % 3},c{row % 2},{row % 2},train" for row in range(40)]
        file = table("x,y,c,t,part", *lines, "1000,0,c0,1,validation", ",,c0,1,validation")
        how = {"split": {"column": "part"}, "scale": "minmax", "kinds": {"y": "categorical"}}
        specs = [{**BINS, "bins": 4}, DENSE]
        prepared = prepare(load(file, "t", data=how, model={"layers": specs}))
        [number] = prepared.plan.signature.numeric
        assert number.index == 0
        assert number.edges == pytest.approx([0, 0.25, 0.5, 0.75, 1])
        said = {report.name: report.encoding for report in prepared.dataset.columns}
        assert said["x"] == "minmax, 4 bins"
        streamed = load(file, "t", data={**how, "streaming": True}, model={"layers": specs})
        assert prepare(streamed).plan.signature == prepared.plan.signature
        plain = load(file, "t", data=how)
        assert "edges" not in load_dataset(plain).fitted.columns[0].model_dump()

    def test_each_layer_gets_the_bins_that_it_asks_for_from_data_that_are_read(
        self, load: Load, table: Callable[..., Path]
    ) -> None:
        file = table("x,t", *(f"{row},{row % 2}" for row in range(40)))
        read = prepare(load(file, "t"))
        for bins in (4, 8):
            specs = [{**BINS, "bins": bins}, DENSE]
            loaded = load(file, "t", model={"layers": specs})
            [number] = prepare(loaded, read.dataset).plan.signature.numeric
            assert len(number.edges) == bins + 1
            read = prepare(loaded, read.dataset)

    def test_a_column_keeps_its_bins_as_training_goes_on_with_it(self) -> None:
        column = NumericColumn(name="x", center=2.0, scale=4.0, fill=0.0, indicator=False)
        first = column.with_bins(Sample(np.array([2.0, np.nan, 6.0, 10.0])), 2)
        assert first.model_dump()["edges"] == (0, 1, 2)
        assert first.with_bins(Sample(np.array([5.0, 9.0])), 3) == first
        assert column.continued(first) == first
        assert first.encoding_in_full() == "(x − 2) / 4, 2 bins"
        weighted = Sample(np.array([2.0, 6.0, 10.0]), np.array([1.0, 1.0, 2.0]))
        assert column.with_bins(weighted, 2).model_dump()["edges"] == (0, 1.5, 2)


@pytest.mark.parametrize(
    ("shape", "specs", "path", "message"),
    [
        (FLAT, [{"type": "dropout"}, PLR, DENSE], (1,), "must be the first layer"),
        (FLAT, [{"type": "residual", "layers": [PLR]}, DENSE], (0, "layers", 0), "must be the fir"),
        ((2, 5, 6), [PLR, {"type": "flatten"}, DENSE], (0,), "expects [features], got [2, 5, 6]"),
    ],
)
def test_where_it_can_not_be_is_said(
    shape: tuple[int, ...], specs: list[dict[str, Any]], path: tuple[object], message: str
) -> None:
    with pytest.raises(ShapeError) as error:
        plan(shape, *specs)
    assert error.value.path == path
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({**BINS, "sigma": 0.1}, "`sigma` has no effect where `kind` is piecewise_linear"),
        ({**PLR, "bins": 8}, "`bins` has no effect where `kind` is plr"),
        ({**PBLD, "dim": 1}, "`dim` must be 2 or more for pbld"),
    ],
)
def test_settings_of_other_kinds_are_refused_with_their_line(
    settings: dict[str, Any], message: str, dlcli: Command, write_config: WriteConfig
) -> None:
    config = write_config(ROOT / "data" / "moons.csv", "color", model={"layers": [settings, DENSE]})
    outcome = dlcli("validate", config)
    assert outcome.code == 2
    assert f"model.layers[0]: {message}" in " ".join(outcome.err.split())


def test_a_table_without_numeric_columns_has_nothing_to_embed(
    dlcli: Command, write_config: WriteConfig, table: Callable[..., Path]
) -> None:
    file = table("c,t", *(f"{'uvw'[row % 3]},{row % 2}" for row in range(20)))
    refused = dlcli("validate", write_config(file, "t", model={"layers": [PBLD, DENSE]}))
    assert refused.code == 2
    assert "model.layers[0]: no column is numeric: there is nothing to embed" in refused.err
    assert dlcli("validate", write_config(file, "t", model={"layers": [DENSE]})).code == 0


def test_a_run_is_resumed_to_the_bit_with_its_bins_and_is_begun_with(dlcli: Command) -> None:
    specs = [{**BINS, "bins": 5}, {"type": "dense", "units": 6, "activation": "relu"}, DENSE]
    config = write_config(
        Path("c.yaml"), "adam", "exponential", training={"epochs": 3}, model={"layers": specs}
    )
    config.write_text(config.read_text().replace("data:\n", "data:\n  scale: robust_clip\n"))
    for run, options in (
        ("straight", []),
        ("r", ["--set", "training.epochs=2"]),
        ("r", ["--resume", "--set", "training.epochs=3"]),
    ):
        outcome = dlcli("train", config, "--run-dir", run, *options)
        assert outcome.code == 0, outcome.err
    assert "robust_clip, 5 bins" in " ".join(outcome.out.split())
    assert differences(Path("straight"), Path("r")) == []
    start = ("--set", "model.start_from=r")
    assert dlcli("validate", config, *start).code == 0
    other = dlcli("validate", config, *start, "--set", "data.features=[bill_length_mm, island]")
    assert other.code == 2
    said = "the columns differ, and the weights of numeric_embedding can't be matched by column"
    assert other.err.startswith("dlcli: c.yaml:10:5: model.layers[0]: the weights of r/best")
    assert said in " ".join(other.err.split())
    begun = prepare(load_config(config, ["model.layers[0].bins=9", *start[1:]]))
    trained = prepare(load_config(config))
    assert begun.plan.signature == trained.plan.signature


def test_columns_among_others_are_found_in_a_table(
    dlcli: Command, write_config: WriteConfig
) -> None:
    data = {"split": {"validation": 0.2}}
    specs = [PLR, DENSE]
    config = write_config(
        ROOT / "data" / "penguins.csv", "species", data=data, model={"layers": specs}
    )
    prepared = prepare(load_config(config))
    slots = prepared.dataset.fitted.slots()
    numeric = [
        column.name for column in prepared.dataset.fitted.columns if column.kind == "numeric"
    ]
    assert [number.index for number in prepared.plan.signature.numeric] == [
        slots[name].indices[0] for name in numeric
    ]
    shown = dlcli("describe", config).out
    width, num_columns = prepared.plan.signature.num_dense, len(numeric)
    assert f"0 numeric_embedding │ {width + 2 * num_columns} " in shown
