"""Recurrent layers against PyTorch's: with their weights, outputs and gradients are the same."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dlcli.layers.recurrent import recurrence
from dlcli.layers.sequence import build_layers, plan_layers
from tests.layers.samples import layers

CHANNELS, LENGTH, UNITS = 3, 9, 4
LENGTHS = torch.tensor([9, 2, 1, 7, 5])
CELLS: list[tuple[str, Callable[..., nn.RNNBase], dict[str, Any]]] = [
    ("rnn", nn.RNN, {"nonlinearity": "tanh"}),
    ("rnn", nn.RNN, {"nonlinearity": "relu"}),
    ("lstm", nn.LSTM, {}),
    ("gru", nn.GRU, {}),
]


def settings() -> Iterator[dict[str, Any]]:
    for num_layers, bidirectional, bias in product((1, 2), (False, True), (True, False)):
        yield {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias}


def build(type_: str, **options: Any) -> nn.Module:
    planned = plan_layers(layers({"type": type_, "units": UNITS, **options}), (CHANNELS, LENGTH))
    return build_layers(planned)[f"0_{type_}"]


def as_pytorch_computes(
    theirs: nn.RNNBase, x: Tensor, lengths: Tensor | None, returns: str
) -> Tensor:
    """Return what PyTorch's module makes of `[batch, channels, length]`, packed where ragged."""
    x = x.transpose(1, 2)
    if lengths is None:
        outputs, states = theirs(x)
    else:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, states = theirs(packed)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True)
    if returns == "sequence":
        return outputs.transpose(1, 2)  # type: ignore[no-any-return]
    states = states[0] if isinstance(states, tuple) else states
    return torch.cat([*states[-2:]], 1) if theirs.bidirectional else states[-1]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
@pytest.mark.parametrize("returns", ["last", "sequence"])
@pytest.mark.parametrize(("type_", "theirs", "more"), CELLS)
def test_outputs_and_gradients_are_pytorchs(
    type_: str,
    theirs: Callable[..., nn.RNNBase],
    more: dict[str, Any],
    returns: str,
    lengths: Tensor | None,
) -> None:
    generator = torch.Generator().manual_seed(0)
    for options in settings():
        reference = theirs(CHANNELS, UNITS, batch_first=True, **options, **more)
        module = build(type_, returns=returns, **options, **more)
        module.load_state_dict(reference.state_dict())
        rows = torch.randn(5, CHANNELS, LENGTH, generator=generator)
        pairs = []
        for network in (module, reference):
            x = rows.clone().requires_grad_()
            if network is reference:
                outputs = as_pytorch_computes(reference, x, lengths, returns)
            else:
                outputs = network(x, lengths)
            factors = torch.linspace(-1, 1, outputs.numel()).view(outputs.shape)
            wanted = [x, *network.parameters()]
            pairs.append([outputs, *torch.autograd.grad((outputs * factors).sum(), wanted)])
        for ours, expected in zip(*pairs, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize(("type_", "theirs", "more"), CELLS)
def test_weights_begin_as_pytorchs(
    type_: str, theirs: Callable[..., nn.RNNBase], more: dict[str, Any]
) -> None:
    for options in settings():
        torch.manual_seed(1)
        reference = theirs(CHANNELS, UNITS, **options, **more).state_dict()
        torch.manual_seed(1)
        state = build(type_, **options, **more).state_dict()
        assert state.keys() == reference.keys()
        assert all(torch.equal(state[key], reference[key]) for key in state)


@pytest.mark.parametrize(("type_", "theirs", "more"), CELLS)
def test_blocks_of_times_change_nothing_but_rounding(
    type_: str,
    theirs: Callable[..., nn.RNNBase],
    more: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del theirs
    module = build(type_, returns="sequence", bidirectional=True, **more)
    x = torch.randn(5, CHANNELS, LENGTH, generator=torch.Generator().manual_seed(0))
    pairs = []
    for size in (2**18, 2 * 5 * 4 * UNITS):  # all times at once; two, of gates in four columns
        monkeypatch.setattr(recurrence, "_BLOCK", size)
        outputs = module(x, LENGTHS)
        gradients = torch.autograd.grad(outputs.square().sum(), [*module.parameters()])
        pairs.append([outputs, *gradients])
    for at_once, in_blocks in zip(*pairs, strict=True):
        torch.testing.assert_close(at_once, in_blocks, rtol=1e-4, atol=1e-6)


def test_states_of_rows_that_have_ended_do_not_grow() -> None:
    module = build("rnn", nonlinearity="relu", returns="sequence")
    with torch.no_grad():
        module.get_parameter("weight_hh_l0").fill_(1e9)
    x = torch.ones(2, CHANNELS, LENGTH)
    outputs = module(x, torch.tensor([1, 2]))
    [gradient] = torch.autograd.grad(outputs[0].sum(), [module.get_parameter("weight_hh_l0")])
    assert not outputs[0, :, 1:].any()
    assert gradient.isfinite().all()


def test_autocast_to_bf16_computes_states_in_fp32() -> None:
    module = build("lstm", num_layers=2, returns="sequence")
    x = torch.randn(2, CHANNELS, LENGTH, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        outputs = module(x.bfloat16())
    torch.testing.assert_close(outputs, module(x), rtol=0.02, atol=0.02)
    assert outputs.dtype == torch.float32
    outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_dropout_is_between_layers_and_in_training_alone() -> None:
    module = build("gru", num_layers=2, dropout=0.5, returns="sequence")
    x = torch.randn(2, CHANNELS, LENGTH, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    first, second = module(x), module(x)
    assert not torch.equal(first, second)
    module.eval()
    assert torch.equal(module(x), module(x))
    with pytest.raises(ValueError, match=r"put \{type: dropout, rate: 0.5\} behind it"):
        layers({"type": "gru", "units": 4, "dropout": 0.5})


def test_the_receptive_field_begins_with_the_row() -> None:
    for type_ in ("rnn", "lstm", "gru"):
        [one] = plan_layers(layers({"type": type_, "units": 4, "returns": "sequence"}), (3, 9))
        assert one.config.receptive_field(one, ((4, 1),)) == ((0, 5),)
