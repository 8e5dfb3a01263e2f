"""A network as rows of a table, layer by layer, and its branches and heads as a drawing of text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dlcli.layers.base import PlannedLayer, Shape
from dlcli.network.branches.planning import PlannedBranch, PlannedInputs
from dlcli.network.plan import Plan

_MAX_WIDTH = 96  # of a drawing, in characters


@dataclass(frozen=True)
class LayoutRow:
    """A layer, an input, or where the members of an ensemble begin."""

    title: str
    depth: int  # of layers and inputs that it is part of
    shape: str  # of its output
    num_parameters: int
    multiply_adds: int | None  # of a row; None: it computes nothing
    num_kept: int | None  # numbers of a row that are kept for the backward pass


def layout_rows(plan: Plan) -> Iterator[LayoutRow]:
    """Yield what a table of a network's layers shows, in the order in which data passes."""
    if plan.inputs is None:
        shape = shape_text(plan.signature.input_shape)
        yield LayoutRow("input", 0, shape, plan.num_embedding_parameters, None, None)
    else:
        for branch in plan.inputs.branches:
            yield _input_row(plan, branch)
            for index, layer in enumerate(branch.layers):
                yield from _layer_rows(f"{branch.name}.{index}", layer, 1)
        yield _row(str(plan.inputs.join.config.type), plan.inputs.join, 0)
    for index, layer in enumerate(plan.layers):
        ensemble = plan.ensemble
        if ensemble is not None and ensemble.first == index:
            shape = shape_text((ensemble.num_members, ensemble.num_features))
            title = f"{ensemble.num_members} members, share: {ensemble.config.share}"
            yield LayoutRow(title, 0, shape, ensemble.num_parameters, 0, ensemble.num_kept)
        yield from _layer_rows(str(index), layer, 0)
    for head in plan.heads:
        shape = shape_text(head.layers[-1].output_shape)
        yield LayoutRow(f"output {head.name}", 0, shape, 0, None, None)
        for index, layer in enumerate(head.layers):
            yield from _layer_rows(f"{head.name}.{index}", layer, 1)


def shape_text(shape: Shape) -> str:
    """Write a shape: 64 × 8 × 8."""
    return " × ".join(map(str, shape))


def draw_branches(plan: Plan) -> tuple[str, ...]:
    """Draw the branches of a network line by line: those that join, and the heads behind them.

    Nothing where there is a single input and no head. Where a line is too long, its middle is left
    out.
    """
    if plan.inputs is None and not plan.heads:
        return ()
    if plan.inputs is None:
        shape = shape_text(plan.signature.input_shape)
        drawn: tuple[str, ...] = (_chain(f"input ({shape})", plan.layers),)
    else:
        drawn = _draw_branches(plan, plan.inputs)
    if not plan.heads:
        return drawn
    width = len(drawn[-1]) + 3
    heads = [_chain(head.name, head.layers) for head in plan.heads]
    corners = [*"├" * (len(heads) - 1), "└"]
    return (
        *drawn[:-1],
        f"{drawn[-1]} ─┐",
        f"┌{'─' * (width - 2)}┘",
        *(f"{corner}─ {head}" for corner, head in zip(corners, heads, strict=True)),
    )


def _draw_branches(plan: Plan, inputs: PlannedInputs) -> tuple[str, ...]:
    """Draw several inputs, where they join, and the shared layers."""
    lines = [
        _chain(f"{branch.name} ({shape_text(branch.input_shape)})", branch.layers)
        for branch in inputs.branches
    ]
    width = max(map(len, lines)) + 2
    drawn = [
        f"{line} {'─' * (width - len(line) - 1)}{'┤' if index else '┐'}"
        for index, line in enumerate(lines)
    ]
    joined = f"{inputs.join.config.type} ({shape_text(inputs.join.output_shape)})"
    return (*drawn, f"┌{'─' * (width - 1)}┘", f"└─ {_chain(joined, plan.layers)}")


def _chain(start: str, layers: Sequence[PlannedLayer]) -> str:
    """Write layers one after another, with the shape that each gives."""
    parts = [
        f"{_title(layer, str(index))} ({shape_text(layer.output_shape)})"
        for index, layer in enumerate(layers)
    ]
    kept = len(parts)
    while len(line := _joined(start, parts, kept)) > _MAX_WIDTH and kept > 2:
        kept -= 1
    return line


def _joined(start: str, parts: Sequence[str], kept: int) -> str:
    """Join so many parts with arrows: the first ones, and the last."""
    left_out = len(parts) - kept
    if left_out:
        parts = [*parts[: kept - 1], f"… {left_out} more …", parts[-1]]
    return " → ".join([start, *parts])


def _input_row(plan: Plan, branch: PlannedBranch) -> LayoutRow:
    """Return the row of an input, with the parameters of its embedded columns."""
    tables = [plan.signature.embeddings[place] for place in branch.columns.embedded]
    num_parameters = sum(table.num_codes * table.dim for table in tables)
    shape = shape_text(branch.input_shape)
    return LayoutRow(f"input {branch.name}", 0, shape, num_parameters, None, None)


def _layer_rows(number: str, layer: PlannedLayer, depth: int) -> Iterator[LayoutRow]:
    yield _row(_title(layer, number), layer, depth)
    for place, inner in layer.numbered_inner:
        yield from _layer_rows(f"{number}.{place}", inner, depth + 1)


def _row(title: str, layer: PlannedLayer, depth: int) -> LayoutRow:
    number = () if layer.members is None else (layer.members.number,)
    shape = shape_text((*number, *layer.output_shape))
    return LayoutRow(title, depth, shape, layer.num_parameters, layer.multiply_adds, layer.num_kept)


def _title(layer: PlannedLayer, number: str) -> str:
    """Write a layer's place in the config, its type and its activation: `0 dense relu`."""
    activation = layer.config.applied_activation
    return f"{number} {layer.config.type}" + (f" {activation}" if activation else "")
