"""A network of several targets → the same for one of them, to be evaluated and explained."""

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor, nn

from dlcli.explaining.explained_model import ExplainedModel, ExplainedRows
from dlcli.training.rows.batches import Rows, Tensors
from dlcli.training.target_heads import TargetHead, heads_of


class OneTarget(nn.Module):
    """A network of which only the outputs of one target are seen; its parts have their names."""

    def __init__(self, network: nn.Module, first: int, end: int) -> None:
        super().__init__()
        self.network, self._first, self._end = network, first, end

    def forward(self, inputs: Tensors) -> Tensor:
        """Return the target's outputs, [batch, its outputs]."""
        outputs: Tensor = self.network(inputs)
        return outputs[..., self._first : self._end]

    def get_submodule(self, target: str) -> nn.Module:
        """Return a part of the network by its name there."""
        return self.network.get_submodule(target)


def models_of_targets(model: ExplainedModel) -> Iterator[ExplainedModel]:
    """Yield a model for each target: the rows that have it, and its outputs; itself with one."""
    heads = heads_of(model.objective, model.target, model.placement.device)
    if len(heads) == 1:
        yield model
        return
    for head in heads:
        parts = {name: _rows_with(head, rows) for name, rows in model.parts.items()}
        of_target = tuple(one for one in model.plan.heads if one.name == head.target.name)
        yield replace(
            model,
            network=OneTarget(model.network, *head.outputs).eval(),
            plan=replace(model.plan, heads=of_target),
            loss=head.objective.loss,
            fitted=model.fitted.model_copy(update={"target": head.target}),
            parts={name: some for name, some in parts.items() if len(some)},
            is_one_of_several=True,
        )


def _rows_with(head: TargetHead, rows: ExplainedRows) -> ExplainedRows:
    """Return the rows that have a target, with its encoded values and its outputs alone."""
    chosen, of_target = head.cut_rows(rows.encoded)
    inputs = rows.encoded.take(chosen).inputs
    first, end = head.outputs
    return ExplainedRows(
        Rows(inputs, of_target.targets, len(of_target)),
        None if rows.kept is None else rows.kept.take(chosen.cpu().numpy()),
        None if rows.outputs is None else rows.outputs[chosen.cpu(), first:end],
    )
