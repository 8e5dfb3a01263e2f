"""Where attention looks, where that is planted."""

from typing import Any

import numpy as np
import pytest
import torch

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.attention_maps import AttentionMaps, find_attention
from dlcli.report.explanation.attention_maps import attention_sections
from tests.explaining.made import Layers, make_model

LENGTH, NUM_ROWS = 6, 24
POOL = {"type": "pool_time", "pool": "attention"}
ENCODER = {"type": "transformer_encoder", "num_heads": 2, "num_layers": 2, "causal": True}
SIGNAL = [f"p{index}" for index in range(2 * LENGTH)]


def marked(layers: Layers, target: list[Any], **options: Any) -> tuple[ExplainedModel, list[int]]:
    """Return a network on signals whose second channel marks one position, and those by row."""
    random = np.random.default_rng(1)
    signals, places = random.normal(size=(NUM_ROWS, 2, LENGTH)).round(3), []
    signals[:, 1] = 0.0
    for signal in signals:
        places.append(int(random.integers(LENGTH)))
        signal[1, places[-1]] = 1.0
    numbers = dict(zip(SIGNAL, signals.reshape(NUM_ROWS, -1).T.tolist(), strict=True))
    part = ["test" if index % 2 else "train" for index in range(NUM_ROWS)]
    table: dict[str, list[Any]] = {**numbers, "part": part, "y": target}
    given = {"shape": [2, LENGTH], "scale": "none", "split": {"column": "part"}, **options}
    return make_model(table, "y", layers, **given), places


def looking_at_marks(model: ExplainedModel, name: str) -> None:
    """Let attention over time score the second channel alone."""
    with torch.no_grad():
        for key, values in {
            "hidden.weight": [[0.0, 0.0], [0.0, 3.0]],
            "hidden.bias": [0.0, 0.0],
            "score.weight": [[0.0, 9.0]],
        }.items():
            model.network.get_parameter(f"{name}.{key}").copy_(torch.tensor(values))


def only(found: tuple[AttentionMaps, ...]) -> AttentionMaps:
    [maps] = found
    return maps


CLASSES = ["a" if index % 3 else "b" for index in range(NUM_ROWS)]
NUMBERS = [float(index) for index in range(NUM_ROWS)]


@pytest.mark.parametrize(("target", "num_rows"), [(CLASSES, 4), (NUMBERS, 6)])
def test_pooling_looks_where_it_is_told_to(target: list[Any], num_rows: int) -> None:
    model, places = marked([POOL, {"type": "dense"}], target)
    looking_at_marks(model, "0_pool_time")
    maps = only(find_attention(model))
    assert (maps.input, maps.layers) == (None, ("0_pool_time",))
    assert 1 < len(maps.rows) <= num_rows
    for row in maps.rows:
        index = int(row.position.removeprefix("line ")) - 2
        [received] = row.received
        assert received.shape == (1, LENGTH)
        assert received[0].argmax() == places[index]
        assert received[0].max() > 0.99
        assert row.signal is not None
        assert row.signal[1].argmax() == places[index]
        assert row.truth == pytest.approx(target[index])


def test_each_head_of_each_layer_is_shown() -> None:
    model, _ = marked([ENCODER, {"type": "flatten"}, {"type": "dense"}], CLASSES)
    maps = only(find_attention(model))
    names = ("0_transformer_encoder, layer 1", "0_transformer_encoder, layer 2")
    assert maps.layers == names
    for row in maps.rows:
        for weights in row.weights:
            assert weights.shape == (2, LENGTH, LENGTH)
            assert np.allclose(weights.sum(axis=2), 1)
            assert not np.triu(weights, 1).any()
    [section] = attention_sections((maps,))
    rows, pairs = section.pictures
    assert f"1: {names[0]}, 2: {names[1]}" in section.paragraphs[0]
    assert "the signal as the network gets it." in rows.text
    assert all(f">{head}<" in rows.svg for head in ("1.1", "1.2", "2.1", "2.2"))
    assert pairs.text.startswith(f"The first of these rows, {maps.rows[0].position}")


def test_the_tokens_of_texts_are_named_up_to_their_end() -> None:
    texts = ["good day", "a bad day it was", "a new day"] * 8
    model = make_model(
        {"text": texts, "y": CLASSES},
        "y",
        [{"type": "embedding", "dim": 4}, ENCODER, POOL, {"type": "dense"}],
        kinds={"text": "text"},
    )
    maps = only(find_attention(model))
    for row in maps.rows:
        index = int(row.position.removeprefix("line ")) - 2
        assert [*row.tokens] == texts[index].split()
        assert row.signal is None
        assert {weights.shape[2] for weights in row.weights} == {len(row.tokens)}
        assert all(np.allclose(weights.sum(axis=2), 1) for weights in row.weights)
    [section] = attention_sections((maps,))
    assert all(f">{token}<" in section.pictures[0].svg for token in maps.rows[0].tokens)


def test_rows_with_several_labels_are_those_with_the_smallest_and_the_largest_errors() -> None:
    labels = [("a;b", "a", "b;c")[index % 3] for index in range(NUM_ROWS)]
    model, _ = marked([POOL, {"type": "dense"}], labels, task="multilabel")
    maps = only(find_attention(model))
    assert len(maps.rows) == 6
    for row in maps.rows:
        index = int(row.position.removeprefix("line ")) - 2
        assert row.truth == labels[index].replace(";", ", ")
    [section] = attention_sections((maps,))
    assert "those with the smallest errors" in section.pictures[0].text
    assert f"{maps.rows[0].position}: {maps.rows[0].truth}, predicted" in section.pictures[0].svg


def test_networks_without_attention_show_none() -> None:
    model, _ = marked([{"type": "pool_time"}, {"type": "dense"}], CLASSES)
    assert find_attention(model) == ()
    assert list(attention_sections(())) == []
