"""Networks of one plan that train independently, their parameters stacked: one call for all.

Each has a row of parameters, and torch.func.vmap turns the network's operations into operations on
all rows. Dropout is paired: trials of one seed drop the same units, those that a single run of that
seed would drop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from dlcli.layers.modules import RandomMask
from dlcli.network.builder import build_network
from dlcli.network.inputs import empty_inputs
from dlcli.network.plan import Plan
from dlcli.seeds import derive_seed
from dlcli.training.assembly import initialise_from_rows
from dlcli.training.optimizers import Layout, ManyRuns
from dlcli.training.rows.batches import Rows, Tensors


class _GivenMask(nn.Module):
    """A random mask that is given, not drawn; it notes how large one has to be."""

    mask: Tensor
    shape: torch.Size  # for what it was first given: a row, or one of each member of an ensemble
    is_active = True  # it has to see what it is for in evaluation mode too

    def __init__(self, drawn: RandomMask) -> None:
        super().__init__()
        self.drawn = drawn
        self.shape = torch.Size()
        self.register_buffer("mask", torch.empty(0))

    def forward(self, x: Tensor) -> Tensor:
        """Take the mask times x."""
        if not self.shape:
            self.shape = self.drawn.mask_shape(x.shape)
        return x * self.mask if self.training else x


@dataclass(frozen=True)
class Draws:
    """Random bits for the dropout of a batch: of each layer, a row for each seed."""

    words: list[Tensor]  # int64 [seeds, words], layer by layer


class StackedNetwork:
    """Networks built from a plan and some seeds.

    A slot is a fold and a seed: runs of one slot see the same batches and drop the same units.
    """

    def __init__(
        self,
        plan: Plan,
        seeds: Sequence[int],
        device: torch.device,
        folds: Sequence[int] | None = None,
        train: Sequence[Rows] = (),
    ) -> None:
        """Build a network for each run, its weights drawn from its seed, and put it on a device.

        `folds` number the rows that each run is given; None: all are given the same. `train` are
        those rows, which some weights begin with statistics of.
        """
        self.plan = plan
        slot_of_run = [*zip(folds or [0] * len(seeds), seeds, strict=True)]
        self.slots = sorted(set(slot_of_run))
        slots = torch.tensor([self.slots.index(slot) for slot in slot_of_run])
        self.seed_of_run = slots.to(device)
        built = {seed: build_network(plan, seed=seed) for seed in sorted(set(seeds))}
        self._network = next(iter(built.values()))
        named = dict(self._network.named_parameters())
        layout = Layout.of(named, plan.update_factors)
        self._layouts = {
            name: (start, parameter.shape)
            for (name, parameter), start in zip(named.items(), layout.starts, strict=True)
        }
        rows, buffers = {}, {}
        for fold, seed in self.slots:
            begun = _begun(plan, built[seed], train, fold, seed)
            rows[fold, seed] = self._row(begun, layout.num_numbers)
            buffers[fold, seed] = dict(begun.named_buffers())
        values = torch.stack([rows[slot] for slot in slot_of_run]).to(device)
        places = tuple(self._layouts.values())
        self.parameters = ManyRuns(values, torch.zeros_like(values), layout.groups, places)
        self.buffers = {
            name: torch.stack([buffers[slot][name] for slot in slot_of_run]).to(device)
            for name, _ in self._network.named_buffers()
        }
        self._masks = _replace_masks(self._network)
        self._generators = [
            torch.Generator().manual_seed(derive_seed(seed, "dropout")) for _, seed in self.slots
        ]
        self._note_shapes()
        self._look()

    def __len__(self) -> int:
        return len(self.parameters.values)

    def keep(self, runs: Tensor) -> None:
        """Go on with some of the runs, int64 [kept]."""
        self.seed_of_run = self.seed_of_run[runs]
        before, values = self.parameters, self.parameters.values[runs]
        self.parameters = ManyRuns(values, torch.zeros_like(values), before.groups, before.places)
        self.buffers = {name: buffer[runs] for name, buffer in self.buffers.items()}
        self._look()

    @property
    def masks(self) -> nn.ModuleList:
        """The random masks of the runs, which they share."""
        return nn.ModuleList([given.drawn for _, given in self._masks])

    def draw(self, draws: Draws) -> None:
        """Draw the bits of the next batch, layer by layer, as a single run of each seed would."""
        for layer in draws.words:
            for row, generator in zip(layer, self._generators, strict=True):
                row.random_(-(2**63), None, generator=generator)

    def room_for_draws(self, num_rows: int) -> Draws:
        """Return where bits for a batch of so many rows can be drawn into."""
        return Draws(
            [
                torch.empty(len(self.slots), -(-num_rows * module.shape.numel() // 4)).long()
                for _, module in self._masks
            ]
        )

    def train_outputs(self, inputs: Tensors, draws: Draws) -> Tensor:
        """Return each run's outputs, [runs, batch, num_outputs], of [seeds, batch, *shape]."""
        num_rows = next(iter(inputs.values())).shape[1]
        masks = {
            f"{name}.mask": module.drawn.mask_from(
                words.view(torch.int16)[:, : num_rows * module.shape.numel()].view(
                    len(self.slots), num_rows * module.shape[0], *module.shape[1:]
                )
            )[self.seed_of_run]
            for (name, module), words in zip(self._masks, draws.words, strict=True)
        }
        self._network.train()
        forward = vmap(self._forward, in_dims=(0, 0, 0))
        state = self.buffers | masks
        of_runs = {name: tensor[self.seed_of_run] for name, tensor in inputs.items()}
        return forward(self._views, state, of_runs)

    def outputs(self, inputs: Tensors, *, are_each_runs: bool = False) -> Tensor:
        """Return each run's outputs in evaluation mode, [runs, rows, num_outputs].

        `inputs` are [rows, *shape], the same for all runs, or [runs, rows, *shape].
        """
        self._network.eval()
        with torch.no_grad():
            forward = vmap(self._forward, in_dims=(0, 0, 0 if are_each_runs else None))
            return forward(self._views, self.buffers, dict(inputs))

    def gradients_of(self, losses: Tensor) -> list[Tensor]:
        """Return the gradient of each run's loss [runs] by each parameter, [runs, ...]."""
        # Each loss depends on its run's parameters only, so the gradient of the sum is each one's.
        return list(torch.autograd.grad(losses.sum(), list(self._views.values())))

    def split(self, rows: Tensor) -> list[Tensor]:
        """Return views of [runs, numbers], each with all runs' numbers of one parameter."""
        return [
            rows[:, start : start + shape.numel()].view(len(rows), *shape)
            for start, shape in self._layouts.values()
        ]

    def state_dict(self, run: int, values: Tensor, buffers: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return one run's weights, named as in a single network."""
        views = zip(self._layouts, self.split(values), strict=True)
        saved = self._network.state_dict().keys()  # without buffers that follow from the plan
        return {name: view[run] for name, view in views} | {
            name: buffer[run] for name, buffer in buffers.items() if name in saved
        }

    def _forward(
        self, parameters: dict[str, Tensor], state: dict[str, Tensor], inputs: dict[str, Tensor]
    ) -> Tensor:
        return functional_call(self._network, (parameters, state), (inputs,))  # type: ignore[no-any-return]

    def _row(self, network: nn.Module, num_numbers: int) -> Tensor:
        row = torch.zeros(num_numbers)
        for name, parameter in network.named_parameters():
            start, shape = self._layouts[name]
            row[start : start + shape.numel()] = parameter.detach().flatten()
        return row

    def _look(self) -> None:
        """Make the views that the network's operations see."""
        views = self.split(self.parameters.values)
        self._views = {
            name: view.detach().requires_grad_()
            for name, view in zip(self._layouts, views, strict=True)
        }

    def _note_shapes(self) -> None:
        """Show the masks what a single row becomes."""
        with torch.no_grad():
            self._network.eval()(empty_inputs(self.plan.signature, 1))


def _begun(
    plan: Plan, network: nn.Module, train: Sequence[Rows], fold: int, seed: int
) -> nn.Module:
    """Return the network of a seed as it begins to train on the rows of a fold."""
    if plan.starts_from_rows:
        rows = train[fold].each(lambda tensor: tensor.cpu())
        network = build_network(plan, seed=seed)
        initialise_from_rows(network, plan, rows, seed=seed)
    return network


def _replace_masks(network: nn.Module) -> list[tuple[str, _GivenMask]]:
    """Put in masks that are given; return them by name, in the forward order."""
    replaced = []
    for name, module in list(network.named_modules()):
        if isinstance(module, RandomMask) and module.drops_something:
            given = _GivenMask(module)
            network.set_submodule(name, given)
            replaced.append((name, given))
    return replaced
