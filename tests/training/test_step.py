"""The loop against a straight line of PyTorch, and the step's arithmetic."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch.nn import functional as F

from dlcli.config import LoadedConfig
from dlcli.config.objectives import Loss
from dlcli.data.target import ClassTarget, NumberTarget
from dlcli.network.builder import build_network
from dlcli.runs.preparation import Prepared, prepare
from dlcli.runs.training.train import build_trainer
from dlcli.training.device import choose_placement, configure_torch
from dlcli.training.loop import EpochResult, fit
from dlcli.training.losses import build_objective, loss_unit
from dlcli.training.rows.batches import epoch_order, to_rows

Load = Callable[..., LoadedConfig]

CLASSES = ClassTarget(name="y", classes=("a", "b", "c"), counts=(1, 2, 5), label_type="text")
PAIR = ClassTarget(name="y", classes=("a", "b"), counts=(2, 6), label_type="text")
NUMBER = NumberTarget(name="y", center=3.0, scale=4.0)
CPU = torch.device("cpu")

OPTIMIZERS: dict[str, tuple[dict[str, Any], Callable[..., torch.optim.Optimizer]]] = {
    "sgd": ({"lr": 0.1}, torch.optim.SGD),
    "momentum": ({"lr": 0.1, "momentum": 0.9, "dampening": 0.1}, torch.optim.SGD),
    "nesterov": (
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        torch.optim.SGD,
    ),
    "adam": ({"lr": 0.01, "betas": (0.8, 0.99), "amsgrad": True}, torch.optim.Adam),
    "adamw": ({"lr": 0.01}, torch.optim.AdamW),
    "adadelta": ({"lr": 0.5}, torch.optim.Adadelta),
    "adagrad": ({"lr": 0.01, "lr_decay": 0.1}, torch.optim.Adagrad),
    "rmsprop": ({"lr": 0.01, "momentum": 0.5, "centered": True}, torch.optim.RMSprop),
    "nadam": ({"lr": 0.01}, torch.optim.NAdam),
    "radam": ({"lr": 0.01, "weight_decay": 0.1}, torch.optim.RAdam),
    "adamax": ({"lr": 0.01}, torch.optim.Adamax),
}


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
    options, build = OPTIMIZERS[optimizer]
    kind = "sgd" if optimizer in ("momentum", "nesterov") else optimizer
    epochs, batch_size = 3, 24
    prepared = prepare(
        load(
            penguins,
            "species",
            seed=4,
            data={"split": {"test": 0.2}},
            model={"layers": [{"type": "dense", "units": 8, "activation": "tanh"},
                              {"type": "dense"}]},
            optimizer={"type": kind, **{key: list(value) if isinstance(value, tuple) else value
                                        for key, value in options.items()}},
            training={"epochs": epochs, "batch_size": batch_size},
        )
    )  # fmt: skip
    network, _ = train(prepared)

    x = torch.tensor(prepared.dataset.parts["train"].features)
    y = torch.tensor(prepared.dataset.parts["train"].targets)
    assert len(x) % batch_size  # the last batch is a short one
    model = build_network(prepared.plan, seed=4)
    fused = {"fused": True} if kind in ("sgd", "adam", "adamw") else {}
    straight = build(model.parameters(), **options, **fused)
    for epoch in range(1, epochs + 1):
        order = epoch_order(len(x), seed=4, epoch=epoch)
        for start in range(0, len(x), batch_size):
            rows = order[start : start + batch_size]
            straight.zero_grad()
            loss = F.cross_entropy(model(x[rows]), y[rows])
            torch.autograd.backward(loss)
            straight.step()

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
    outputs = network(torch.tensor(part.features))
    expected = F.cross_entropy(outputs, torch.tensor(part.targets)).item()
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


def loss_of(spec: dict[str, Any]) -> Loss:
    loss: Loss = TypeAdapter(Loss).validate_python(spec)
    return loss


LOSSES: list[tuple[dict[str, Any], Any]] = [
    ({"type": "binary_cross_entropy"}, PAIR),
    ({"type": "binary_cross_entropy", "class_weights": "balanced", "label_smoothing": 0.1}, PAIR),
    ({"type": "cross_entropy"}, CLASSES),
    ({"type": "cross_entropy", "class_weights": {"b": 3.0}, "label_smoothing": 0.2}, CLASSES),
    ({"type": "mse"}, NUMBER),
    ({"type": "mae"}, NUMBER),
    ({"type": "huber", "delta": 0.5}, NUMBER),
]


def batch(target: ClassTarget | NumberTarget, loss: Loss) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    width = len(CLASSES.classes) if loss.type == "cross_entropy" else 1
    outputs = torch.randn(7, width, generator=generator, dtype=torch.float64)
    if isinstance(target, NumberTarget):
        return outputs, torch.randn(7, generator=generator, dtype=torch.float64)
    return outputs, torch.arange(7) % len(target.classes)


@pytest.mark.parametrize(("spec", "target"), LOSSES)
def test_every_loss_has_the_gradient_of_finite_differences(
    spec: dict[str, Any], target: Any
) -> None:
    objective = build_objective(loss_of(spec), target, CPU)
    outputs, targets = batch(target, objective.loss)
    assert torch.autograd.gradcheck(lambda x: objective(x, targets), (outputs.requires_grad_(),))


@pytest.mark.parametrize(("spec", "target"), LOSSES)
def test_every_loss_is_a_mean_over_examples_however_they_are_batched(
    spec: dict[str, Any], target: Any
) -> None:
    objective = build_objective(loss_of(spec), target, CPU)
    outputs, targets = batch(target, objective.loss)
    each = [objective(outputs[row : row + 1], targets[row : row + 1]).item() for row in range(7)]
    assert objective(outputs, targets).item() == pytest.approx(np.mean(each), rel=1e-6)


def test_losses_have_the_values_of_their_formulas() -> None:
    z, y = torch.tensor([[0.3], [-1.2]]), torch.tensor([1, 0])
    p = torch.sigmoid(z[:, 0])
    binary = build_objective(loss_of({"type": "binary_cross_entropy"}), PAIR, CPU)
    expected = -(torch.log(p[0]) + torch.log(1 - p[1])) / 2
    assert binary(z, y).item() == pytest.approx(expected.item())

    smooth = build_objective(
        loss_of({"type": "binary_cross_entropy", "label_smoothing": 0.2}), PAIR, CPU
    )
    truth = torch.tensor([0.9, 0.1])
    expected = -(truth * torch.log(p) + (1 - truth) * torch.log(1 - p)).mean()
    assert smooth(z, y).item() == pytest.approx(expected.item())

    logits, classes = torch.tensor([[1.0, 2.0, -1.0], [0.0, 0.5, 0.2]]), torch.tensor([1, 0])
    weighted = build_objective(
        loss_of({"type": "cross_entropy", "class_weights": {"b": 3.0}}), CLASSES, CPU
    )
    each = -torch.log_softmax(logits, 1)[[0, 1], [1, 0]]
    assert weighted(logits, classes).item() == pytest.approx(((3 * each[0] + each[1]) / 2).item())


def test_balanced_weights_give_every_class_the_same_sum() -> None:
    spec = {"type": "cross_entropy", "class_weights": "balanced"}
    weights = build_objective(loss_of(spec), CLASSES, CPU).class_weights
    assert weights is not None
    assert torch.allclose(weights * torch.tensor([1, 2, 5]), torch.full((3,), 8 / 3))


@pytest.mark.parametrize(("name", "unit"), [("mse", 16.0), ("mae", 4.0), ("huber", 16.0)])
def test_losses_are_reported_in_the_targets_units(name: str, unit: float) -> None:
    """huber(scale·r; scale·delta) = scale²·huber(r; delta), so its unit is squared as mse's is."""
    loss = loss_of({"type": name})
    assert loss_unit(loss, NUMBER) == unit
    outputs, targets = batch(NUMBER, loss)
    inside = build_objective(loss, NUMBER, CPU)(outputs, targets) * unit
    own = {
        "mse": lambda x, y: F.mse_loss(x, y),
        "mae": lambda x, y: F.l1_loss(x, y),
        "huber": lambda x, y: F.huber_loss(x, y, delta=4.0),
    }[name](outputs[:, 0] * 4 + 3, targets * 4 + 3)
    assert inside.item() == pytest.approx(own.item())


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
