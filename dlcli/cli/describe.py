"""`dlcli describe`."""

from typing import TYPE_CHECKING

from rich.table import Table

from dlcli.cli.options import ConfigFile, Overrides
from dlcli.cli.screen import format_bytes, layer_name, open_console, shape_text

if TYPE_CHECKING:
    from dlcli.model.plan import PlannedLayer


def describe_command(config: ConfigFile, overrides: Overrides) -> None:
    """Show a network layer by layer: shapes, parameters, operations, memory."""
    from dlcli.config import open_config
    from dlcli.model.costs import activation_bytes, multiply_adds, training_bytes
    from dlcli.runs.preparation import prepare

    prepared = prepare(open_config(config, overrides))
    plan, settings = prepared.plan, prepared.config.training
    num_rows = len(prepared.dataset.parts["train"])
    batch_size = num_rows if settings.batch_size == "full" else min(settings.batch_size, num_rows)
    table = Table("layer", "output shape")
    for title in ("parameters", "multiply-adds a row", f"memory of {batch_size:,} rows"):
        table.add_column(title, justify="right")
    table.add_row("input", shape_text(plan.signature.input_shape))
    for index, layer in enumerate(plan.layers):
        _add(table, str(index), layer, batch_size)
    total = sum(map(multiply_adds, plan.layers))
    memory = sum(activation_bytes(layer, batch_size) for layer in plan.layers)
    figures = (f"{plan.num_parameters:,}", f"{total:,}", format_bytes(memory))
    table.add_row("total", "", *figures, style="bold")
    console = open_console(to_stderr=False)
    console.print(table)
    if plan.num_embedding_parameters:
        names = ", ".join(embedding.name for embedding in plan.signature.embeddings)
        console.print(
            f"  {plan.num_embedding_parameters:,} of the parameters embed: {names}", markup=False
        )
    optimizer = prepared.config.optimizer
    console.print(
        f"  weights, gradients and {optimizer.type}'s state: "
        f"{format_bytes(training_bytes(plan, optimizer))}"
    )


def _add(table: Table, number: str, layer: "PlannedLayer", batch_size: int) -> None:
    from dlcli.model.costs import activation_bytes, multiply_adds

    table.add_row(
        layer_name(number, layer),
        shape_text(layer.output_shape),
        f"{layer.num_parameters:,}",
        f"{multiply_adds(layer):,}",
        format_bytes(activation_bytes(layer, batch_size)),
    )
    for index, inner in enumerate(layer.inner):
        _add(table, f"  {number}.{index}", inner, batch_size)
