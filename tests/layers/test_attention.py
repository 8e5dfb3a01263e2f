"""Attention and transformer encoders beside PyTorch's, with its weights."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlcli.layers.attention.modules import SelfAttention
from tests.layers.samples import layers

CHANNELS, LENGTH, HEADS = 8, 7, 2
LENGTHS = torch.tensor([7, 3, 1])  # of three rows


def built(**spec: Any) -> nn.Module:
    [layer] = layers({"num_heads": HEADS, "dropout": 0.0, **spec})
    torch.manual_seed(0)
    return layer.build(layer.plan((CHANNELS, LENGTH)))


def torch_attention(**options: Any) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    return nn.MultiheadAttention(CHANNELS, HEADS, batch_first=True, **options)


def torch_encoder(norm: str, **options: Any) -> nn.TransformerEncoder:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        CHANNELS, HEADS, 4 * CHANNELS, 0.0, norm_first=norm == "pre", batch_first=True, **options
    )
    last = nn.LayerNorm(CHANNELS, bias=options.get("bias", True)) if norm == "pre" else None
    return nn.TransformerEncoder(layer, 2, last, enable_nested_tensor=False)


def made_rows(seed: int = 1) -> Tensor:
    """Return `[rows, channels, length]`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(LENGTHS), CHANNELS, LENGTH, generator=generator)


def behind_ends() -> Tensor:
    return torch.arange(LENGTH) >= LENGTHS[:, None]


def with_gradients(module: nn.Module, x: Tensor, output: Tensor) -> dict[str, Tensor]:
    """Return an output with all gradients of a weighted sum of what is within the rows."""
    weights = made_rows(2).masked_fill(behind_ends()[:, None], 0.0)
    loss = (output.masked_fill(behind_ends()[:, None], 0.0) * weights).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    found = {name: one.grad for name, one in module.named_parameters() if one.grad is not None}
    within = ~behind_ends()
    return {**found, "x": x.grad.mT[within], "y": output.detach().mT[within]}


def compare(ours: nn.Module, theirs: nn.Module, *, is_causal: bool, is_ragged: bool) -> None:
    ours.load_state_dict(theirs.state_dict())
    ignored = behind_ends() if is_ragged else None
    mask = nn.Transformer.generate_square_subsequent_mask(LENGTH) if is_causal else None
    x, theirs_x = (made_rows().requires_grad_() for _ in range(2))
    rows = theirs_x.mT
    padding = ignored if mask is None or ignored is None else torch.where(ignored, -math.inf, 0.0)
    if isinstance(theirs, nn.MultiheadAttention):
        output, _ = theirs(rows, rows, rows, padding, need_weights=False, attn_mask=mask)
    else:
        output = theirs(rows, mask, padding, is_causal=is_causal)
    expected = with_gradients(theirs, theirs_x, output.mT)
    found = with_gradients(ours, x, ours(x, LENGTHS) if is_ragged else ours(x))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, atol=2e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("is_ragged", [False, True])
@pytest.mark.parametrize("is_causal", [False, True])
def test_attention_is_pytorchs(is_causal: bool, is_ragged: bool) -> None:
    bias = not is_causal
    ours = built(type="attention", causal=is_causal, bias=bias)
    compare(ours, torch_attention(bias=bias), is_causal=is_causal, is_ragged=is_ragged)


@pytest.mark.parametrize("is_ragged", [False, True])
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("norm", "activation"), [("pre", "relu"), ("post", "gelu")])
def test_an_encoder_is_pytorchs(
    norm: str, activation: str, is_causal: bool, is_ragged: bool
) -> None:
    spec = {"num_layers": 2, "norm": norm, "activation": activation, "causal": is_causal}
    theirs = torch_encoder(norm, activation=activation)
    compare(
        built(type="transformer_encoder", **spec), theirs, is_causal=is_causal, is_ragged=is_ragged
    )


def test_weights_begin_as_pytorchs_do() -> None:
    pairs = [
        (built(type="attention"), torch_attention()),
        (built(type="attention", bias=False), torch_attention(bias=False)),
        (built(type="transformer_encoder", norm="post"), torch_encoder("post").layers[0]),
    ]
    for ours, theirs in pairs:
        expected = theirs.state_dict()
        found = {name.removeprefix("layers.0."): one for name, one in ours.state_dict().items()}
        assert found.keys() == expected.keys()
        assert all(found[name].equal(values) for name, values in expected.items())


@pytest.mark.parametrize("is_causal", [False, True])
def test_the_weights_of_each_head_are_pytorchs(is_causal: bool) -> None:
    ours, theirs = built(type="attention", causal=is_causal), torch_attention()
    assert isinstance(ours, SelfAttention)
    rows = made_rows()
    mask = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1) if is_causal else None
    _, expected = theirs(
        rows.mT, rows.mT, rows.mT, behind_ends(), attn_mask=mask, average_attn_weights=False
    )
    within = ~behind_ends()
    [found] = ours.attention_weights(rows, LENGTHS)
    torch.testing.assert_close(found.transpose(1, 2)[within], expected.transpose(1, 2)[within])


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_half_precision_is_nearly_the_same(dropout: float) -> None:
    module, x = built(type="transformer_encoder", dropout=dropout), made_rows()
    outputs = []
    for is_half in (False, True):
        module.zero_grad()
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            output = module(x, LENGTHS)
        output.float().square().sum().backward()
        gradients = torch.cat([one.grad.flatten() for one in module.parameters()])  # type: ignore[union-attr]
        outputs.append(torch.cat([output.float().flatten(), gradients]))
    difference = torch.linalg.vector_norm(outputs[0] - outputs[1])
    assert 0 < difference < 0.03 * torch.linalg.vector_norm(outputs[0])


def test_half_of_the_weights_are_dropped_and_the_others_doubled() -> None:
    module = built(type="attention", dropout=0.5)
    assert isinstance(module, SelfAttention)
    with torch.no_grad():
        for name, one in module.named_parameters():
            values = torch.eye(CHANNELS) if "weight" in name else torch.zeros(1)
            one.copy_(values.repeat(one.shape[0] // values.shape[0], *(1 for _ in one.shape[1:])))
        x = torch.ones(1, CHANNELS, 500)
        output = module(x)
    assert output.mean().item() == pytest.approx(1, abs=0.02)
    assert output.std().item() == pytest.approx(500**-0.5, rel=0.1)
    assert module.eval()(x).std().item() < 1e-6


def test_positions_have_their_sines_and_cosines() -> None:
    [layer] = layers({"type": "positional_encoding"})
    module = layer.build(layer.plan((5, 4)))
    added = module(torch.ones(1, 5, 3))[0].mT - 1
    expected = [
        [wave(place / 10_000 ** (channel / 5)) for channel in (0, 2, 4) for wave in WAVES][:5]
        for place in range(3)
    ]
    torch.testing.assert_close(added, torch.tensor(expected))


WAVES = (math.sin, math.cos)
