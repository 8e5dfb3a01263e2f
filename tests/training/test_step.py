"""The loop against a straight line of PyTorch, and the step's arithmetic."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from dlcli.config import LoadedConfig
from dlcli.network.builder import build_network
from dlcli.optimizers import PRESETS
from dlcli.runs.preparation import Prepared, prepare
from dlcli.runs.training.run import build_trainer
from dlcli.training.device import choose_placement, configure_torch
from dlcli.training.loop import EpochResult, fit
from dlcli.training.rows.batches import epoch_order, to_rows
from tests.optimizers.samples import TORCH_OPTIMIZERS, muon_beside_adamw, reference_of

Load = Callable[..., LoadedConfig]


OPTIMIZERS = [name for name, settings in PRESETS.items() if settings["type"] in TORCH_OPTIMIZERS]


def train(prepared: Prepared) -> tuple[torch.nn.Module, list[EpochResult]]:
    training = prepared.config.training
    placement = choose_placement(training.device, training.precision)
    configure_torch(placement)
    trainer = build_trainer(prepared, placement)
    device = placement.device
    parts = {name: to_rows(part, device) for name, part in prepared.dataset.parts.items()}
    events = fit(trainer, parts["train"], parts.get("validation"))
    return trainer.network, [event for event in events if isinstance(event, EpochResult)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_straight_line_of_pytorch_ends_with_the_same_bits(
    optimizer: str, load: Load, penguins: Path
) -> None:
    epochs, batch_size = 3, 24
    prepared = prepare(
        load(
            penguins,
            "species",
            seed=4,
            data={"split": {"test": 0.2}},
            model={"layers": [{"type": "dense", "units": 8, "activation": "tanh"},
                              {"type": "dense"}]},
            optimizer=PRESETS[optimizer],
            training={"epochs": epochs, "batch_size": batch_size},
        )
    )  # fmt: skip
    network, _ = train(prepared)

    x = torch.tensor(prepared.dataset.parts["train"].inputs["numbers"])
    y = torch.tensor(prepared.dataset.parts["train"].targets["target"])
    assert len(x) % batch_size  # the last batch is a short one
    model = build_network(prepared.plan, seed=4)
    muon = muon_beside_adamw(model) if optimizer == "muon" else None
    straight = muon or [reference_of(PRESETS[optimizer], model)]
    for epoch in range(1, epochs + 1):
        order = epoch_order(len(x), seed=4, epoch=epoch)
        for start in range(0, len(x), batch_size):
            rows = order[start : start + batch_size]
            for one in straight:
                one.zero_grad()
            loss = F.cross_entropy(model({"numbers": x[rows]}), y[rows])
            torch.autograd.backward(loss)
            for one in straight:
                one.step()

    trained, expected = network.state_dict(), model.state_dict()
    assert all(torch.equal(trained[key], expected[key]) for key in expected)
    fresh = build_network(prepared.plan, seed=4).state_dict()
    assert not any(torch.equal(trained[key], fresh[key]) for key in expected)


def weights_after(
    load: Load, file: Path, training: dict[str, Any], **sections: Any
) -> torch.Tensor:
    loaded = load(
        file,
        "species",
        optimizer={"type": "sgd", "lr": 0.1, "momentum": 0.5},
        data={"split": {"test": 0.2}},
        training={"epochs": 2, **training},
        **sections,
    )
    network, _ = train(prepare(loaded))
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_accumulated_batches_weigh_every_row_alike(load: Load, penguins: Path) -> None:
    # 275 rows: four steps of 60 and one of 35, which is a batch of 20 and one of 15.
    whole = weights_after(load, penguins, {"batch_size": 60})
    accumulated = weights_after(load, penguins, {"batch_size": 20, "accumulate_batches": 3})
    assert torch.allclose(accumulated, whole, atol=1e-6)
    short = weights_after(load, penguins, {"batch_size": 20, "accumulate_batches": 2})
    assert not torch.allclose(short, whole, atol=1e-3)


def test_a_full_batch_is_all_rows_at_once(load: Load, penguins: Path) -> None:
    full = weights_after(load, penguins, {"batch_size": "full"})
    huge = weights_after(load, penguins, {"batch_size": 10_000})
    assert torch.allclose(full, huge, atol=1e-6)


def test_clipping_shortens_the_gradient_to_its_norm(load: Load, penguins: Path) -> None:
    def first_step(**training: Any) -> torch.Tensor:
        arguments = {"batch_size": "full", "epochs": 1, **training}
        sections = {"optimizer": {"type": "sgd", "lr": 1.0}}
        loaded = load(penguins, "species", training=arguments, **sections)
        prepared = prepare(loaded)
        network, _ = train(prepared)
        start = build_network(prepared.plan, seed=0)
        moved = [
            (after - before).detach().flatten()
            for after, before in zip(network.parameters(), start.parameters(), strict=True)
        ]
        return torch.cat(moved)

    free, clipped = first_step(), first_step(gradient_clip_norm=0.01)
    assert free.norm() > 0.02
    assert clipped.norm().item() == pytest.approx(0.01, rel=1e-3)
    assert torch.allclose(clipped / clipped.norm(), free / free.norm(), atol=1e-4)


def test_the_training_loss_is_the_mean_over_examples(load: Load, penguins: Path) -> None:
    loaded = load(
        penguins,
        "species",
        optimizer={"type": "sgd", "lr": 1e-12},
        training={"batch_size": 64, "epochs": 1},
    )
    prepared = prepare(loaded)
    network, results = train(prepared)
    part = prepared.dataset.parts["train"]
    outputs = network({"numbers": torch.tensor(part.inputs["numbers"])})
    expected = F.cross_entropy(outputs, torch.tensor(part.targets["target"])).item()
    assert results[0].train_loss == pytest.approx(expected, rel=1e-5)


def test_the_order_of_an_epoch_follows_from_seed_and_epoch_alone() -> None:
    order = epoch_order(50, seed=1, epoch=2)
    epoch_order(50, seed=9, epoch=9)
    torch.manual_seed(0)
    assert torch.equal(epoch_order(50, seed=1, epoch=2), order)
    assert sorted(order.tolist()) == list(range(50))
    assert not torch.equal(epoch_order(50, seed=1, epoch=3), order)
    assert not torch.equal(epoch_order(50, seed=2, epoch=2), order)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_learns_nearly_the_same(precision: str, load: Load, penguins: Path) -> None:
    def final_loss(precision: str) -> float:
        loaded = load(penguins, "species", training={"precision": precision, "epochs": 20},
                      optimizer={"type": "adam", "lr": 0.02})  # fmt: skip
        return train(prepare(loaded))[1][-1].train_loss

    assert final_loss(precision) == pytest.approx(final_loss("fp32"), abs=0.02)


@pytest.mark.gpu
def test_cpu_and_gpu_agree(load: Load, penguins: Path) -> None:
    def weights(device: str) -> torch.Tensor:
        loaded = load(
            penguins,
            "species",
            training={"epochs": 5, "device": device},
            model={"layers": [{"type": "dense", "units": 16, "activation": "tanh"},
                              {"type": "dense"}]},
        )  # fmt: skip
        network, _ = train(prepare(loaded))
        return torch.cat([parameter.detach().cpu().flatten() for parameter in network.parameters()])

    assert torch.allclose(weights("cpu"), weights("cuda"), atol=1e-4)


@pytest.mark.gpu
def test_the_gpu_gives_the_same_bits_twice(load: Load, penguins: Path) -> None:
    training = {"device": "cuda", "epochs": 3}
    first = weights_after(load, penguins, training, model={"layers": [
        {"type": "dense", "units": 16}, {"type": "dropout"}, {"type": "dense"}]})  # fmt: skip
    again = weights_after(load, penguins, training, model={"layers": [
        {"type": "dense", "units": 16}, {"type": "dropout"}, {"type": "dense"}]})  # fmt: skip
    assert torch.equal(first, again)
