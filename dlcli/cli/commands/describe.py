"""`dlcli describe`."""

from dlcli.cli.options import ConfigFile, Overrides


def describe_command(config: ConfigFile, overrides: Overrides) -> None:
    """Show a network layer by layer: shapes, parameters, operations, memory."""
    from dlcli.cli.screens.tables import open_console, show_costs
    from dlcli.config import open_config
    from dlcli.runs.preparation import prepare

    show_costs(open_console(to_stderr=False), prepare(open_config(config, overrides)))
