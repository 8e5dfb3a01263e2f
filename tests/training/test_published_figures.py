"""The update rules on a problem with published figures: DeepOBS's `quadratic_deep`.

Schneider, Balles and Hennig, *DeepOBS: a deep learning optimizer benchmark suite*, ICLR 2019. A
quadratic in 100 dimensions, most of them flat, seen through noise: batches of 128 noisy rows, 100
epochs, the last short batch left out, the same order in every epoch.
"""

import numpy as np
import pytest
import torch

from dlcli.optimizers.adagrad import Adagrad
from dlcli.optimizers.adam import Adam
from dlcli.optimizers.base import OptimizerConfig
from dlcli.optimizers.rmsprop import RmsProp
from dlcli.optimizers.sgd import Sgd
from dlcli.training.optimizers import ManyRuns
from dlcli.training.optimizers import Optimizer as Rule

NUM_DIMENSIONS, BATCH, EPOCHS = 100, 128, 100
ORDERS = range(12)  # each a run: which rows come together moves the figure a little


def rotation(random: np.random.RandomState, size: int) -> np.ndarray:
    """Draw a rotation as DeepOBS does: one of the plane, then one dimension more at a time.

    Each time the new axis is reflected onto a random direction (Diaconis and Shahshahani 1987).
    """
    angle = 2 * np.pi * random.uniform()
    found = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for below in range(2, size):
        direction = random.normal(size=below + 1)
        mirror = -direction / np.linalg.norm(direction)
        mirror[0] += 1
        mirror /= np.linalg.norm(mirror)
        larger = np.eye(below + 1)
        larger[1:, 1:] = found
        found = larger - 2 * np.outer(mirror, mirror @ larger)
    return -found


def final_losses(config: OptimizerConfig) -> torch.Tensor:
    """Return the test loss after training, of a run for each order of the rows, [orders]."""
    random = np.random.RandomState(42)
    eigenvalues = np.concatenate([random.uniform(0, 1, 90), random.uniform(30, 60, 10)])
    turned = rotation(random, NUM_DIMENSIONS)
    hessian = torch.tensor(turned.T @ np.diag(eigenvalues) @ turned).float()
    rows = torch.tensor(np.random.RandomState(42).normal(0, 0.6, (1000, NUM_DIMENSIONS))).float()
    test = torch.tensor(np.random.RandomState(43).normal(0, 0.6, (1000, NUM_DIMENSIONS))).float()
    orders = [np.random.RandomState(seed).permutation(len(rows)) for seed in ORDERS]
    batches = [
        torch.stack([rows[order[start : start + BATCH]].mean(0) for order in orders])
        for start in range(0, len(rows) - BATCH + 1, BATCH)
    ]
    size = (len(ORDERS), NUM_DIMENSIONS)
    runs = ManyRuns(torch.ones(size), torch.zeros(size))
    rule = Rule(config, runs)
    rule.lr = torch.full((len(ORDERS), 1), config.lr)
    for _ in range(EPOCHS):
        for centers in batches:
            # Of ½(θ - x)ᵀH(θ - x), the mean over a batch's rows x.
            runs.gradient.copy_((runs.values - centers) @ hessian)
            rule.step()
    apart = runs.values[:, None] - test[: len(test) // BATCH * BATCH]
    return 0.5 * ((apart @ hessian) * apart).sum(2).mean(1)


@pytest.mark.parametrize(
    ("config", "published", "within"),
    [
        (Sgd(type="sgd", lr=1e-2), 87.29, 0.1),
        (Adam(type="adam", lr=1e-3), 106.64, 0.1),
        (Adagrad(type="adagrad", lr=1e-2, initial_accumulator_value=0.1), 112.12, 0.1),
        (RmsProp(type="rmsprop", lr=1e-3, alpha=0.9, eps=1e-10), 100.60, 0.3),
    ],
    ids=["sgd", "adam", "adagrad", "rmsprop"],
)
def test_deepobs_quadratic_deep(config: OptimizerConfig, published: float, within: float) -> None:
    losses = final_losses(config)
    assert losses.median().item() == pytest.approx(published, abs=within)
    assert losses.min().item() - within < published < losses.max().item() + within
