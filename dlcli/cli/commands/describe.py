"""`dlcli describe`."""

import os
from typing import Annotated

import typer

from dlcli.cli.options import ConfigFile, Overrides
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
) -> None:
    """Show a network layer by layer: shapes, parameters, operations, memory."""
    from dlcli.cli.screens.tables import open_console, show_costs, show_estimates
    from dlcli.config import open_config
    from dlcli.runs.preparation import prepare
    from dlcli.training.processes.rank import rank_in

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
