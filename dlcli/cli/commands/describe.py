"""`dlcli describe`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from dlcli.cli.options import ConfigFile, Overrides, as_in_shell
from dlcli.cli.processes import (
    one_of_several,
    refuse_problems,
    refuse_starting,
    run_several,
    said_once,
)


def describe_command(
    config: ConfigFile,
    overrides: Overrides,
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            min=1,
            help="Also estimate a step on several processes, by measuring so many.",
        ),
    ] = 1,
    schedule: Annotated[
        bool,
        typer.Option("--schedule", help="Show the learning rate over the steps instead."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            callback=as_in_shell,
            help="With --schedule: write the rate of every step (.csv, .parquet, - for standard "
            "output) or a picture (.svg, .png).",
        ),
    ] = None,
) -> None:
    """Show a network layer by layer: shapes, parameters, operations, memory."""
    if schedule:
        _describe_schedule(config, overrides, output, processes)
        return
    from dlcli.cli.screens.tables import open_console, show_costs, show_estimates
    from dlcli.config import open_config
    from dlcli.errors import ConfigError
    from dlcli.runs.preparation import prepare
    from dlcli.training.processes.rank import rank_in

    if output is not None:
        raise ConfigError("-o: writes the learning rates; give --schedule too")

    console = open_console(to_stderr=False)
    rank = rank_in(os.environ)
    if rank is not None:
        with said_once(rank):
            refuse_starting(processes=processes)
        from dlcli.runs.training.agreement import prepare_alike
        from dlcli.runs.training.run import estimate_alone

        with one_of_several(rank) as group:
            prepared = prepare_alike(group, lambda: prepare(open_config(config, overrides)))
            estimates = estimate_alone(prepared, group)
        if group.is_first:
            show_costs(console, prepared)
            show_estimates(console, estimates)
    elif processes == 1:
        show_costs(console, prepare(open_config(config, overrides)))
    else:
        refuse_problems(open_config(config, overrides))
        settings = [item for override in overrides or () for item in ("--set", override)]
        ended = run_several(["describe", str(config), *settings], processes)
        raise typer.Exit(ended.exit_code)


def _describe_schedule(
    config: Path, overrides: list[str], output: Path | None, processes: int
) -> None:
    """Show the learning rate over the steps, and write those of all steps."""
    from dlcli.cli.screens.tables import open_console
    from dlcli.config import open_config
    from dlcli.errors import ConfigError
    from dlcli.report.text_curves import rate_curve
    from dlcli.runs.preparation import prepare
    from dlcli.runs.rates import rates_of
    from dlcli.tables.writing import STANDARD_OUTPUT, write_blocks

    if processes > 1:
        raise ConfigError("--processes: every process has the same rates; leave it out")
    suffixes = (".csv", ".parquet", ".svg", ".png")
    if output not in (None, STANDARD_OUTPUT) and output.suffix.lower() not in suffixes:
        raise ConfigError(f"-o {output}: none of {', '.join(suffixes)}")
    rates = rates_of(prepare(open_config(config, overrides)))
    if output == STANDARD_OUTPUT:
        write_blocks(rates.blocks(), output, separator=",")
        return
    console = open_console(to_stderr=False)
    console.print(rates.title, markup=False, soft_wrap=True)
    if rates.note is not None:
        console.print(rates.note, markup=False, soft_wrap=True)
    console.print(rate_curve(rates.points()), markup=False, soft_wrap=True)
    for what, step in rates.turns():
        console.print(f"{what}, {step:,}: {rates.schedule.lr(step - 1):.6g}", markup=False)
    for line in rates.other_numbers():
        console.print(line, markup=False, soft_wrap=True)
    if output is None:
        return
    if output.suffix.lower() in (".csv", ".parquet"):
        write_blocks(rates.blocks(), output, separator=",")
    else:
        from dlcli.report.plots.rates import draw_rates

        draw_rates(rates, output)
    console.print(f"written: {output}", markup=False, soft_wrap=True)
