"""Trials that take their steps at once: one step of all of them is one program.

They differ in optimizer, learning rate, seed and fold. Each is what it would be by itself, within
rounding: its own weights, rows, dropout, clipping and update.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dlcli.optimizers.base import OptimizerConfig
from dlcli.training.device import Placement
from dlcli.training.engines.choice import choose_engine
from dlcli.training.engines.cuda_graph import CudaGraph
from dlcli.training.engines.op_trace import OpTrace
from dlcli.training.objective import MixedTargets, Objective, build_objective
from dlcli.training.optimizers import ManyRuns, Optimizer
from dlcli.training.rows.augmenting import Augmenter
from dlcli.training.rows.batches import Rows, as_shares
from dlcli.trials.running.stacked_network import Draws, StackedNetwork
from dlcli.trials.running.stacked_rows import SlotRows
from dlcli.trials.setup import ResolvedTrial, SharedSetup


@dataclass
class _Group:
    """Runs of one update rule, which stand side by side."""

    optimizer: Optimizer[ManyRuns]
    start: int
    stop: int


@dataclass
class _StackRecording:
    copies: tuple[Rows, ...]  # of batches: what it reads
    draws: list[Draws]
    steps: OpTrace | CudaGraph


@dataclass
class Stack:
    """Takes steps of trials, which are in the order of `trials`: by their update rule."""

    trials: list[ResolvedTrial]
    network: StackedNetwork
    objective: Objective
    target: str  # the field that the loss is given
    placement: Placement
    clip_norm: float | None
    is_captured: bool
    augmenter: Augmenter | None = None  # None: rows are as they are
    setups: list[SharedSetup] = field(default_factory=list)  # that differ, fold by fold
    groups: list[_Group] = field(default_factory=list)
    # By the rows of each batch.
    recordings: dict[tuple[int, ...], _StackRecording] = field(default_factory=dict)

    @classmethod
    def of(cls, trials: Sequence[ResolvedTrial]) -> "Stack":
        """Build the network and optimizer of every trial; their setups stack with each other."""
        ordered, setup = in_groups(trials), trials[0].setup
        placement = setup.placement
        seeds = [trial.seed for trial in ordered]
        setups = [*dict.fromkeys(trial.setup for trial in ordered)]
        folds = [setups.index(trial.setup) for trial in ordered]
        network = StackedNetwork(
            setup.plan, seeds, placement.device, folds, [setup.train for setup in setups]
        )
        objective = build_objective(setup.loss, setup.target, placement.device)
        clip_norm = setup.settings.gradient_clip_norm
        target = setup.target.field
        engine = choose_engine(setup.settings, placement, setup.plan, len(setup.train))
        is_captured = engine.name == "captured"
        stack = cls(ordered, network, objective, target, placement, clip_norm, is_captured)
        stack.setups = setups
        augment, signature = setup.settings.augment, setup.plan.signature
        stack.augmenter = Augmenter.of(augment, signature, target)
        stack.groups = [stack._group(start, stop) for start, stop in _stretches(ordered)]
        return stack

    @property
    def seeds(self) -> list[int]:
        """The seeds whose rows a step is given, in this order; of each fold's rows, its own."""
        return [seed for _, seed in self.network.slots]

    @property
    def slot_rows(self) -> SlotRows:
        """What the batches of its steps are taken from."""
        return SlotRows.of([self.setups[fold] for fold, _ in self.network.slots], self.seeds)

    def take_step(self, batches: tuple[Rows, ...], lrs: Tensor) -> Tensor:
        """Take one step of every run, on the mean loss over all rows of the batches.

        Batches hold each seed's own rows, [seeds, batch, *shape] of each field; `lrs` [runs] are
        the learning rates; all are on the device. Returns each run's loss and the norm of its
        gradient before clipping, [runs, 2].
        """
        batches = as_shares(batches)
        if self.augmenter is not None:
            batches = self.augmenter.stacked(batches)
        figures = self._replay(batches) if self.is_captured else self._compute_now(batches)
        for group in self.groups:
            group.optimizer.lr = lrs[group.start : group.stop, None]
            group.optimizer.step()
        return figures

    def keep(self, runs: list[int]) -> None:
        """Go on with some of the runs, in their order."""
        before, self.trials = self.groups, [self.trials[run] for run in runs]
        self.network.keep(torch.tensor(runs, device=self.placement.device))
        self.recordings.clear()
        self.groups = []
        for group in before:
            kept = [run - group.start for run in runs if group.start <= run < group.stop]
            if not kept:
                continue
            start = self.groups[-1].stop if self.groups else 0
            new = self._group(start, start + len(kept), group.optimizer.config)
            new.optimizer.num_steps = group.optimizer.num_steps
            new.optimizer.state = {
                key: state[kept] if state.dim() else state
                for key, state in group.optimizer.state.items()
            }
            self.groups.append(new)

    def _group(self, start: int, stop: int, config: OptimizerConfig | None = None) -> _Group:
        """Return a group of runs before its first step, each with its own weight decay."""
        trials = self.trials[start:stop]
        config = trials[0].optimizer if config is None else config
        optimizer = Optimizer(config, self._rows(start, stop))
        decays = [trial.optimizer.highest_weight_decay for trial in trials]
        if len(set(decays)) > 1:
            column = torch.tensor(decays, device=self.placement.device)[:, None]
            optimizer.set_weight_decay(column)
        return _Group(optimizer, start, stop)

    def _rows(self, start: int, stop: int) -> ManyRuns:
        all_runs = self.network.parameters
        values, gradient = all_runs.values[start:stop], all_runs.gradient[start:stop]
        return ManyRuns(values, gradient, all_runs.groups, all_runs.places)

    def _compute_now(self, batches: tuple[Rows, ...]) -> Tensor:
        return self._compute(batches, self._drawn(batches))

    def _drawn(self, batches: tuple[Rows, ...]) -> list[Draws]:
        draws = [self.network.room_for_draws(len(batch)) for batch in batches]
        for draw in draws:
            self.network.draw(draw)
        return draws

    def _replay(self, batches: tuple[Rows, ...]) -> Tensor:
        sizes = tuple(map(len, batches))
        recording = self.recordings.get(sizes)
        if recording is None:
            copies = tuple(batch.each(torch.clone) for batch in batches)
            draws = self._drawn(batches)
            steps = self._record(lambda: self._compute(copies, draws))
            self.recordings[sizes] = _StackRecording(copies, draws, steps)
            return steps.result.clone()
        for copy, batch in zip(recording.copies, batches, strict=True):
            copy.copy_from(batch)
        for draw in recording.draws:
            self.network.draw(draw)
        return recording.steps.replay().clone()

    def _record(self, function: Callable[[], Tensor]) -> OpTrace | CudaGraph:
        device = self.placement.device
        return CudaGraph(function, device) if device.type == "cuda" else OpTrace(function)

    def _compute(self, batches: tuple[Rows, ...], draws: list[Draws]) -> Tensor:
        """Leave the gradient with the parameters; return what `take_step` does."""
        network, gradient = self.network, self.network.parameters.gradient
        views = network.split(gradient)
        num_rows = sum(map(len, batches))
        total = gradient.new_zeros(len(network))
        for index, (batch, draw) in enumerate(zip(batches, draws, strict=True)):
            with self.placement.autocast():
                outputs = network.train_outputs(batch.inputs, draw)
            targets = batch.targets[self.target][network.seed_of_run]
            mixed = MixedTargets.of(batch.targets, self.target)
            if mixed is not None:
                of_runs = (mixed.partners, mixed.kept)
                mixed = MixedTargets(*(some[network.seed_of_run].flatten(0, 1) for some in of_runs))
            of_rows = outputs.float().flatten(0, 1)
            losses = self.objective.each(of_rows, targets.flatten(0, 1), mixed)
            losses = losses.view(targets.shape[:2])
            if batch.weights is not None:
                losses = (losses * batch.weights[network.seed_of_run]).sum(1)
            elif len(batches) > 1:
                losses = losses.mean(1) * (len(batch) / num_rows)
            else:
                losses = losses.mean(1)
            gradients = network.gradients_of(losses)
            (torch._foreach_add_ if index else torch._foreach_copy_)(views, gradients)
            total = total + losses.detach()
        norms = torch.linalg.vector_norm(gradient, dim=1)
        if self.clip_norm is not None:
            gradient *= (self.clip_norm / (norms + 1e-6)).clamp(max=1.0)[:, None]
        return torch.stack([total, norms], dim=1)


def in_groups(trials: Sequence[ResolvedTrial]) -> list[ResolvedTrial]:
    """Return the runs of one update rule side by side, rules as they first come."""
    rules: list[OptimizerConfig] = []
    for trial in trials:
        if trial.stacked_rule not in rules:
            rules.append(trial.stacked_rule)
    return sorted(trials, key=lambda trial: rules.index(trial.stacked_rule))


def _stretches(trials: Sequence[ResolvedTrial]) -> list[tuple[int, int]]:
    """Return where runs of one update rule begin and end."""
    starts = [
        index
        for index, trial in enumerate(trials)
        if index == 0 or trial.stacked_rule != trials[index - 1].stacked_rule
    ]
    return list(zip(starts, [*starts[1:], len(trials)], strict=True))
