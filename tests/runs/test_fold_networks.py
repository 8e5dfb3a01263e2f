"""How settings of a search on folds are weighed."""

import numpy as np
import pytest

from dlcli.runs.folds.predicted_rows import PredictedRows
from dlcli.runs.searching.fold_networks import weigh_settings
from tests.losses.examples import PAIR, loss_of


def test_settings_that_were_right_and_too_sure_do_not_count_alone() -> None:
    """The log loss of rows that few errors decide would give all weight to the surest one."""
    truth = np.arange(40) % 2
    rows = PredictedRows(loss_of({"type": "cross_entropy"}), PAIR, truth)
    is_class = truth[:, None] == np.arange(2)
    sure, calm = (np.where(is_class, share, 1 - share) for share in (0.9999, 0.95))
    assert rows.mean_loss(sure) < rows.mean_loss((sure + calm) / 2)
    weights = weigh_settings([sure, calm], rows)
    assert weights == pytest.approx([0.5, 0.5], abs=0.1)
