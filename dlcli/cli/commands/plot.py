"""`dlcli plot`: plots that need no run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli.options import ConfigFile, Overrides, as_in_shell
from dlcli.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from dlcli.report.picture import Picture

Folder = Annotated[
    Path,
    typer.Option("-o", "--output", callback=as_in_shell, help="Folder for the PNG and SVG files."),
]

plot_app = typer.Typer(no_args_is_help=True, help="Draw plots that need no run.")


@plot_app.command("activations", epilog="Example: dlcli plot activations -o pictures")
def plot_activations(output: Folder = Path()) -> None:
    """Draw every activation function and its derivative."""
    from dlcli.explaining.activation_curves import activation_curves
    from dlcli.report.plots.activations import draw_activations

    _save(output, draw_activations(activation_curves()))


@plot_app.command(
    "plane", epilog="Example: dlcli plot plane configs/lecture/02_worked_example.yaml"
)
def plot_plane(config: ConfigFile, overrides: Overrides, output: Folder = Path()) -> None:
    """Draw the predictions of an untrained network on two columns; for one neuron, its line."""
    from dlcli.config import open_config
    from dlcli.explaining.reasons.boundary import compute_boundary
    from dlcli.explaining.unavailable import Unavailable
    from dlcli.report.explanation.boundary import boundary_picture
    from dlcli.runs.preparation import prepare
    from dlcli.runs.reporting.load_run import untrained_model_and_data

    loaded = open_config(config, overrides)
    model = untrained_model_and_data(loaded, prepare(loaded))
    boundary = compute_boundary(model)
    if isinstance(boundary, Unavailable):
        raise ConfigError(f"{config}: can't draw the plane: {boundary.reason}")
    _save(output, boundary_picture(boundary, model.target))


def _save(folder: Path, picture: "Picture") -> None:
    from dlcli.cli.screens.tables import open_console
    from dlcli.report.picture import save_pictures

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot create this folder: {error.strerror}") from None
    save_pictures(folder, [picture])
    console = open_console(to_stderr=False)
    console.print(picture.text, markup=False)
    console.print(f"picture: {folder / picture.name}.png", markup=False, soft_wrap=True)
