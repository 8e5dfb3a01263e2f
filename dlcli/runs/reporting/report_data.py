"""Everything that the report of a run shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlcli.data.fitted import FittedData
from dlcli.explaining.constant_baseline import constant_baseline_loss
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.forecasts.shown import ForecastQuality
from dlcli.explaining.learning.diagnosis import diagnose
from dlcli.explaining.learning.finding import Diagnosis
from dlcli.explaining.learning.history import History
from dlcli.explaining.quality.quality import Quality
from dlcli.explaining.reasons.permutation_importance import PermutationImportance
from dlcli.explaining.training_statistics import EpochStatistics
from dlcli.explaining.unavailable import Unavailable
from dlcli.explaining.vision.augmented import AugmentedImages, augment_images
from dlcli.network.plan import Plan
from dlcli.runs.folder.run_folder import RunFolder

if TYPE_CHECKING:  # what only the full report needs
    from dlcli.explaining.reasons.explanation import Explanation
    from dlcli.explaining.surface.landscape import LossGrid
    from dlcli.explaining.surface.path import PathPlane
    from dlcli.explaining.vision.vision import Vision


@dataclass(frozen=True)
class Record:
    """What the files of a run say, without its network."""

    folder: RunFolder
    history: History
    summary: Mapping[str, Any] | None  # None: missing or damaged
    surroundings: Mapping[str, str]  # the machine and versions; empty if unknown
    fitted: FittedData | None  # None: there is no readable checkpoint

    @property
    def name(self) -> str:
        """The name of the run."""
        config = self.history.config
        return config.name if config is not None else self.folder.path.name


@dataclass(frozen=True)
class DeepBudget:
    """About how long the questions of a full report may take that take longest."""

    tree_seconds: float
    importance_seconds: float  # for the effects of words, as many again
    surface_seconds: float  # for the landscape, and for the path
    vision_seconds: float  # for what it sees in images


@dataclass(frozen=True)
class DeepReport:
    """What only the full report of a run shows."""

    explanations: "tuple[Explanation, ...]"  # of each target
    visions: "tuple[Vision | None, ...]"  # of each target; None: rows are no images
    landscape: "LossGrid | Unavailable"
    path: "PathPlane | Unavailable"
    budget: DeepBudget


@dataclass(frozen=True)
class QuickReport:
    """What a quick report explains."""

    importances: tuple[PermutationImportance | Unavailable, ...]  # for each target
    seconds: float  # that all questions to the network were to take


@dataclass(frozen=True)
class NetworkReport:
    """What evaluating and explaining a run's network has shown."""

    model: ExplainedModel
    qualities: tuple[Quality, ...]  # of each target
    explained: QuickReport | DeepReport
    augmented: AugmentedImages | None = None  # None: training augments no images


@dataclass(frozen=True)
class ForecastReport:
    """What the report of a run that forecasts shows of its network."""

    plan: Plan
    quality: ForecastQuality
    is_quick: bool


@dataclass(frozen=True)
class ReportData:
    """Everything that the report of a run shows."""

    record: Record
    diagnosis: Diagnosis
    statistics: tuple[EpochStatistics, ...]
    network: NetworkReport | ForecastReport | Unavailable

    @property
    def is_quick(self) -> bool:
        """Whether only what is quickly made is shown."""
        network = self.network
        if isinstance(network, ForecastReport):
            return network.is_quick
        return isinstance(network, NetworkReport) and isinstance(network.explained, QuickReport)


def diagnose_run(model: ExplainedModel, record: Record) -> Diagnosis:
    """Say how a run's network learned, beside the constant baseline on its training rows."""
    rows = model.parts["train"].encoded
    constant_loss = constant_baseline_loss(
        model.objective, model.target, model.targets(rows), model.weights(rows)
    )
    return diagnose(record.history, constant_loss=constant_loss)


def augmented_images(model: ExplainedModel, record: Record) -> AugmentedImages | None:
    """Return a sheet of augmented images, where the run's config augments images."""
    config = record.history.config
    return None if config is None else augment_images(model, config.training.augment)
