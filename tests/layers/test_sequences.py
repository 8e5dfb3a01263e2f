"""Rows that differ in length: what is behind the end of a row changes nothing, in any layer."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dlcli.columns.base import Series, Tokens
from dlcli.data.fields import lengths_of
from dlcli.data.signature import Signature
from dlcli.layers.base import FirstInput, ShapeError
from dlcli.layers.ragged import LayerSequence, TakesLengths, without_rest
from dlcli.layers.sequence import build_layers, plan_layers, walk_planned
from dlcli.network.builder import build_network
from dlcli.network.inputs import empty_inputs
from dlcli.network.plan import Plan, plan_network
from dlcli.network.row_ends import row_ends
from tests.layers.samples import DENSE, EVERY_LAYER, LONG, layers, name

LENGTHS = torch.tensor([16, 5, 1, 0, 11])
OF_SEQUENCES = [spec for shape, spec in EVERY_LAYER if shape == LONG]
EMBEDDING = {"type": "embedding", "dim": 3}
REVIEW = Tokens("review", "tokens review", 16, 30)
CONV = {"type": "conv1d", "out_channels": 4, "kernel_size": 3}
POOL = {"type": "pool_time"}


def of_tokens(*specs: dict[str, Any]) -> Plan:
    return plan_network(
        layers(*specs), Signature(0, (), None, 2, sequences=(REVIEW,)), num_outputs=2
    )


def computed(
    module: LayerSequence, rows: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return outputs without what is behind ends, and gradients of the input and parameters."""
    x = rows.clone().requires_grad_()
    torch.manual_seed(0)
    module.train()
    after, outputs = module.lengths_after(lengths), module(x, lengths)
    seen = outputs if after is None else without_rest(outputs, after)
    factors = torch.randn(seen.shape, generator=torch.Generator().manual_seed(1))
    wanted = [x, *module.parameters()]
    gradients = torch.autograd.grad((seen * factors).sum(), wanted)
    return seen.detach(), without_rest(gradients[0], lengths), list(gradients[1:])


@pytest.mark.parametrize("spec", OF_SEQUENCES, ids=name)
def test_what_is_behind_an_end_changes_nothing(spec: dict[str, Any]) -> None:
    [layer] = layers(spec)
    given = FirstInput(LONG, is_ragged=True)
    if any(one.config.traits.at_end == "refuses" for _, one in walk_planned([layer.plan(LONG)])):
        with pytest.raises(ShapeError, match="sequences of different lengths"):
            plan_layers([layer], given)
        return
    planned = plan_layers([layer], given)
    at_end = planned[0].config.traits.at_end
    module = LayerSequence(build_layers(planned))
    takes_lengths = isinstance(next(iter(module)), TakesLengths)
    assert takes_lengths == (at_end in ("masks", "ends"))
    rows = torch.randn(len(LENGTHS), *LONG, generator=torch.Generator().manual_seed(2))
    plain = computed(module, without_rest(rows, LENGTHS), LENGTHS)
    behind = without_rest(torch.ones_like(rows), LENGTHS) == 0
    fillers = [7.5, *[float("nan")] * (at_end in ("masks", "ends"))]
    for filler in fillers:
        filled = computed(module, rows.masked_fill(behind, filler), LENGTHS)
        assert torch.equal(filled[0], plain[0])
        assert torch.equal(filled[1], plain[1])
        assert all(map(torch.equal, filled[2], plain[2]))


@pytest.mark.parametrize("spec", OF_SEQUENCES, ids=name)
def test_a_row_has_the_same_output_alone_and_beside_longer_ones(spec: dict[str, Any]) -> None:
    if spec["type"] == "dropout":
        return
    [layer] = layers(spec)
    try:
        planned = plan_layers([layer], FirstInput(LONG, is_ragged=True))
    except ShapeError:
        return
    module = LayerSequence(build_layers(planned)).eval()
    rows = torch.randn(2, *LONG, generator=torch.Generator().manual_seed(3))
    for length in (1, 4, 9):
        lengths = torch.tensor([16, length])
        after, beside = module.lengths_after(lengths), module(rows, lengths)[1]
        alone = module(rows[1:, :, :length], lengths[1:])[0]
        if after is not None:
            alone, beside = alone[:, : after[1]], beside[:, : after[1]]
            assert alone.shape[1] == after[1] > 0
        torch.testing.assert_close(alone, beside)


def test_tokens_are_embedded_and_their_padding_stays_zero() -> None:
    plan = of_tokens(EMBEDDING, CONV, POOL, DENSE)
    assert plan.layers[0].output_shape == (3, 16)
    assert plan.layers[0].num_parameters == 90
    network = build_network(plan, seed=0)
    module = network.get_submodule("0_embedding")
    assert module.get_parameter("weight").shape == (30, 3)
    inputs = empty_inputs(plan.signature, 3)
    inputs[REVIEW.field][:, :2] = 7
    inputs[lengths_of(REVIEW.field)].fill_(4)
    network(inputs).sum().backward()
    gradient = module.get_parameter("weight").grad
    assert gradient is not None
    assert gradient.any(dim=1).nonzero().flatten().tolist() == [7]


def test_branches_are_told_where_their_rows_end() -> None:
    signal = Series("signal", "signal", 16, 2)
    plan = plan_network(
        layers(CONV, POOL, DENSE), Signature(0, (), None, 2, sequences=(signal,)), num_outputs=2
    )
    network = build_network(plan, seed=0)
    inputs = empty_inputs(plan.signature, 2)
    inputs["signal"].normal_(generator=torch.Generator().manual_seed(0))
    inputs[lengths_of("signal")][0] = 5
    shorter = {"signal": inputs["signal"][:1, :5], lengths_of("signal"): torch.tensor([5])}
    torch.testing.assert_close(network(inputs)[:1], network(shorter))


def test_where_rows_end_is_known_behind_every_layer() -> None:
    signal = Series("signal", "signal", 16, 2)
    conv = {**CONV, "stride": 2, "activation": "relu"}
    plan = plan_network(
        layers(
            {"type": "scale"},
            conv,
            {"type": "residual", "layers": [{**CONV, "padding": 1}]},
            POOL,
            DENSE,
        ),
        Signature(0, (), None, 2, sequences=(signal,)),
        num_outputs=2,
    )
    network, inputs = build_network(plan, seed=0), empty_inputs(plan.signature, 3)
    inputs[lengths_of("signal")] = torch.tensor([16, 2, 0])
    ends = {name: of_rows.tolist() for name, of_rows in row_ends(network, plan, inputs).items()}
    assert ends == {"0_scale": [16, 2, 0], "1_conv1d_relu": [7, 1, 0], "2_residual": [7, 1, 0]}


@pytest.mark.parametrize(
    ("specs", "path", "message"),
    [
        ([DENSE], (0,), "can't take tokens, .* {type: embedding, dim: 32} before it"),
        ([EMBEDDING, {"type": "flatten"}, DENSE], (1,), "flatten can't be told where each ends"),
        (
            [EMBEDDING, {"type": "residual", "layers": [{"type": "batch_norm"}]}, POOL, DENSE],
            (1, "layers", 0),
            "batch_norm can't be told where each ends; put {type: pool_time}",
        ),
        ([EMBEDDING, POOL, EMBEDDING], (2,), "must be the first layer"),
        (
            [EMBEDDING, {**CONV, "init": "unit_variance"}, POOL, DENSE],
            (1,),
            "can't begin with statistics of rows here",
        ),
    ],
)
def test_layers_that_do_not_fit_sequences_are_refused(
    specs: list[dict[str, Any]], path: tuple[str | int, ...], message: str
) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        of_tokens(*specs)
    assert caught.value.path == path
